"""HTTP in, redirect out; and the worker that settles what the redirects left in the spool."""
