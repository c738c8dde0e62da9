"""Which command each reply of a store belongs to, for the trouble that loses replies."""
