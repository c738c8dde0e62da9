"""What the drills have shown, for people: a page, a table in the terminal, a summary for the docs, and what changed."""
