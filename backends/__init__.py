"""Every way to keep a click: one store per file, and the chain that alone chooses between them."""
