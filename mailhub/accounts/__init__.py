"""Domains, accounts, aliases and passwords. Keep: blocking, imports the core."""
