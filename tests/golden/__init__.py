"""What leaves the product, as it is to be byte for byte."""
