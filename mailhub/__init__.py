"""A whole mail server in one Twisted process."""

__version__ = "0.2.0"
