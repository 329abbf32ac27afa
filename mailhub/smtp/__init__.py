"""ESMTP without a socket: reader, commands, server session, client.

Core: imports `mail`, `policy`, `sasl` and `ports`.
"""
