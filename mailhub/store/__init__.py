"""Maildirs and the index over them. Keep: blocking, imports the core."""
