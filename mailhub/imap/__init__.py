"""IMAP without a socket. Core: imports `mail`, `sasl` and `ports`."""
