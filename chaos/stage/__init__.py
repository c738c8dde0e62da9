"""The stage of a drill: a whole Trilha in real processes, on servers of its own, in a folder of its own."""
