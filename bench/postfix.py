"""A Postfix of our own: private ports, private directories, nothing of the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class Postfix:
    """One instance below a directory.

    Args:
        home: Is made, and must be reachable by the user postfix.
        port: Where it listens for SMTP on 127.0.0.1.
        extra: Lines for ``main.cf``.
    """

    def __init__(self, home: Path, port: int, extra: str) -> None:
        self.home = home
        self._port = port
        self._extra = extra

    @property
    def pid(self) -> int:
        """The process id of its master."""
        return int((self.home / "spool/pid/master.pid").read_text(encoding="ascii"))

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.home / "postfix.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Write its configuration and start it."""
        home = self.home
        for name in ("etc", "spool", "data"):
            (home / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(home / "data", "postfix", "postfix")
        (home / "etc/main.cf").write_text(
            f"""
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
message_size_limit = 50000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
import_environment = MAIL_CONFIG={home}/etc
{self._extra}
""",
            encoding="utf-8",
        )
        services = ["postlog   unix-dgram n  -  n  -  1  postlogd"]
        services += [f"127.0.0.1:{self._port} inet n - n - - smtpd"]
        for name, wake, limit, program in _SERVICES:
            private = "n" if name in _PUBLIC else "-"
            user = "n" if name in _PRIVILEGED else "-"
            services.append(f"{name} unix {private} {user} n {wake} {limit} {program}")
        (home / "etc/master.cf").write_text("\n".join(services) + "\n", encoding="utf-8")
        self.command("postfix", "start")

    def stop(self) -> None:
        """Stop it."""
        self.command("postfix", "stop", check=False)

    def command(self, name: str, *arguments: str, check: bool = True) -> str:
        """Run one of Postfix's commands on this instance; what it prints."""
        program = shutil.which(name, path=search_path())
        assert program, name
        result = subprocess.run(
            [program, "-c", str(self.home / "etc"), *arguments],
            check=check,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return result.stdout


_PUBLIC = ("pickup", "cleanup", "qmgr", "flush", "showq")
"""Services whose sockets lie in ``public``, where clients of other users may go."""

_PRIVILEGED = ("local", "virtual")
"""Services that deliver as other users."""

_SERVICES = (
    ("pickup", "60", "1", "pickup"),
    ("cleanup", "-", "0", "cleanup"),
    ("qmgr", "300", "1", "qmgr"),
    ("tlsmgr", "1000?", "1", "tlsmgr"),
    ("rewrite", "-", "-", "trivial-rewrite"),
    ("bounce", "-", "0", "bounce"),
    ("defer", "-", "0", "bounce"),
    ("trace", "-", "0", "bounce"),
    ("verify", "-", "1", "verify"),
    ("flush", "1000?", "0", "flush"),
    ("proxymap", "-", "-", "proxymap"),
    ("smtp", "-", "-", "smtp"),
    ("relay", "-", "-", "smtp"),
    ("showq", "-", "-", "showq"),
    ("error", "-", "-", "error"),
    ("retry", "-", "-", "error"),
    ("discard", "-", "-", "discard"),
    ("local", "-", "-", "local"),
    ("virtual", "-", "-", "virtual"),
    ("lmtp", "-", "-", "lmtp"),
    ("anvil", "-", "1", "anvil"),
    ("scache", "-", "1", "scache"),
)
"""Postfix's own services: name, wake-up time, process limit, program."""


def search_path() -> str:
    """PATH with the directories where daemons lie."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/postfix/sbin"
