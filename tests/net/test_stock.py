"""Twisted's mail classes without a question to DNS."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["mailhub.net.esmtp", "mailhub.net.esmtpclient"])
def test_import(module: str) -> None:
    """Importing our server or client asks nobody for our name, and leaves `socket` as it was."""
    program = (
        "import socket\n"
        "def asked(*_): raise SystemExit('the name was asked for')\n"
        "socket.getfqdn = socket.gethostbyaddr = asked\n"
        f"import {module}\n"
        "from twisted.mail import smtp\n"
        "assert smtp.DNSNAME == b'localhost'\n"
        "assert socket.getfqdn is asked\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
