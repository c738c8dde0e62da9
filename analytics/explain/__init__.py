"""Explain: why a sale is missing. Facts are gathered through ports (`gather`), and told by a pure core (`explain`)."""
