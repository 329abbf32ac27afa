"""POP3 without a socket. Core: imports `mail`, `sasl` and `ports`."""
