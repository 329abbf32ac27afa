"""SASL mechanisms, both sides, without a socket. Core: imports `mail` and `ports`."""
