"""Load on a whole Trilha, as a program of its own: it sees HTTP, child processes and JSON, and imports nothing of ours."""
