"""Twisted's own mail classes, imported without a question to DNS.

`twisted.mail.smtp` asks for the host's full name when it is imported, which may
take seconds, and is not wanted: our names come from the configuration. It also
installs the global reactor. So whoever must choose a reactor first (the twistd
plugin, `service`) imports this late.
"""

from __future__ import annotations

import socket

_getfqdn = socket.getfqdn
socket.getfqdn = lambda name="": name or "localhost"
try:
    from twisted.mail import smtp
finally:
    socket.getfqdn = _getfqdn

__all__ = ["smtp"]
