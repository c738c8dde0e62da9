"""Meta's own SDK as an oracle: what it makes of a value, and why ours is another where it is."""
