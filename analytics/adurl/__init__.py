"""What is wrong with the URL of an ad: pure, for the command line and the dashboard."""
