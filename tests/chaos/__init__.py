"""What the drills are made of does what it says."""
