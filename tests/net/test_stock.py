"""Twisted's mail classes without a question to DNS."""

from __future__ import annotations

import subprocess
import sys


def test_import() -> None:
    """Importing our server asks nobody for the host's name, and leaves `socket` as it was."""
    program = (
        "import socket\n"
        "def asked(*_): raise SystemExit('the name was asked for')\n"
        "socket.getfqdn = socket.gethostbyaddr = asked\n"
        "import mailhub.net.esmtp\n"
        "from twisted.mail import smtp\n"
        "assert smtp.DNSNAME == b'localhost'\n"
        "assert socket.getfqdn is asked\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
