"""Octets, names and threads: the edge between Twisted and everything else."""
