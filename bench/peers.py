"""The two servers under test, each started on private loopback ports with its own state.

A `Peer` offers the same four things: ``smtp`` (port 25's role), ``imap``,
``pop3`` and ``imaps``, with accounts ``user0@bench.example`` … and the password
`PASSWORD`; and hands mail for `SINK` on to ``sink``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bench import processes
from bench.postfix import Postfix, search_path

PASSWORD = "bench-password"
DOMAIN = "bench.example"
SINK = "sink.example"
"""A domain whose mail goes on to port ``sink`` of this machine."""
ACCOUNTS = 8


class Peer(Protocol):
    """A running server."""

    name: str
    ports: dict[str, int]

    def start(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def roots(self) -> list[int]: ...


def address(number: int = 0) -> str:
    """An account's address."""
    return f"user{number}@{DOMAIN}"


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, greeting: bytes, seconds: float = 20) -> None:
    """Wait until a server greets on a port."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as talk:
                if talk.recv(100).startswith(greeting):
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing greets on port {port}")
        time.sleep(0.05)


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, by openssl."""
    key, cert = directory / "key.pem", directory / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


class Classic:
    """Postfix in front of Dovecot over LMTP, as Debian packages them."""

    name = "Postfix + Dovecot"

    def __init__(self) -> None:
        self.ports = {
            name: free_port() for name in ("smtp", "imap", "pop3", "imaps", "lmtp", "sink")
        }
        self._home = new_home("classic")
        self._home.chmod(0o755)
        self._dovecot: subprocess.Popen[bytes] | None = None
        self._postfix = Postfix(
            self._home / "postfix",
            self.ports["smtp"],
            f"""
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_maps = static:ok
virtual_transport = lmtp:inet:127.0.0.1:{self.ports["lmtp"]}
relay_domains = {SINK}
transport_maps = inline:{{ {{ {SINK} = smtp:[127.0.0.1]:{self.ports["sink"]} }} }}
""",
        )

    @staticmethod
    def missing() -> list[str]:
        """Programs that are not installed."""
        wanted = ("postfix", "smtp-source", "dovecot", "openssl")
        return [name for name in wanted if not shutil.which(name, path=search_path())]

    def start(self) -> None:
        self._configure_dovecot()
        self.resume()

    def resume(self) -> None:
        """Start on the state that there is."""
        program = shutil.which("dovecot", path=search_path())
        assert program
        self._dovecot = subprocess.Popen(
            [program, "-F", "-c", str(self._home / "dovecot.conf")], stderr=subprocess.DEVNULL
        )
        self._postfix.start()
        wait_for(self.ports["imap"], b"* OK")
        wait_for(self.ports["smtp"], b"220")

    def stop(self) -> None:
        self._postfix.stop()
        if self._dovecot is not None:
            self._dovecot.terminate()
            self._dovecot.wait(10)

    def roots(self) -> list[int]:
        assert self._dovecot is not None
        return [self._dovecot.pid, self._postfix.pid]

    def _configure_dovecot(self) -> None:
        home, ports = self._home, self.ports
        cert, key = certificate(home)
        mail = home / "mail"
        mail.mkdir()
        shutil.chown(mail, "nobody", "nogroup")
        config = home / "dovecot.conf"
        config.write_text(
            f"""
base_dir = {home}/run
protocols = imap pop3 lmtp
listen = 127.0.0.1
log_path = {home}/dovecot.log
mail_location = maildir:~/Maildir
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
mail_max_userip_connections = 10000
default_process_limit = 1000
default_client_limit = 5000
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mail}/%u allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {ports["imap"]}
  }}
  inet_listener imaps {{
    port = {ports["imaps"]}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {ports["pop3"]}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {ports["lmtp"]}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""",
            encoding="utf-8",
        )


_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
"""Lets a server that runs elsewhere find this package."""


class Mailhub:
    """mailhub as ``twistd mailhub`` runs it, durable as by default, with `more` configuration."""

    name = "mailhub"

    def __init__(self, more: str = "") -> None:
        self._more = more
        self.ports = {name: free_port() for name in ("smtp", "imap", "pop3", "imaps", "sink")}
        self.home = new_home("mailhub")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        home, ports = self.home, self.ports
        cert, key = certificate(home)
        config = home / "mailhub.ini"
        config.write_text(
            f"""
[hub]
hostname = mx.{DOMAIN}
state = {home}/state

[listen]
smtp = tcp:{ports["smtp"]}:interface=127.0.0.1
imap = tcp:{ports["imap"]}:interface=127.0.0.1
imaps = tcp:{ports["imaps"]}:interface=127.0.0.1
pop3 = tcp:{ports["pop3"]}:interface=127.0.0.1
submission =
submissions =
pop3s =

[tls]
certificates = {cert} {key}

[auth]
plaintext on loopback = yes

[smtp]
trusted networks = 127.0.0.0/8

[route sink]
host = 127.0.0.1:{ports["sink"]}
tls = none
recipients = {SINK}

[imap]
connections per account = 100000

[limits]
connections per address = 100000
connections = 100000
{self._more}
""",
            encoding="utf-8",
        )
        (home / "state").mkdir(mode=0o700)
        operate = [sys.executable, "-m", "mailhub", "--config", str(config)]
        subprocess.run([*operate, "domain", "add", DOMAIN], check=True, stdout=subprocess.DEVNULL)
        for number in range(ACCOUNTS):
            command = [*operate, "account", "add", address(number), "--password", "-"]
            subprocess.run(
                command, input=PASSWORD.encode() + b"\n", check=True, stdout=subprocess.DEVNULL
            )
        self.resume()

    def resume(self) -> None:
        """Start on the state that there is."""
        arguments = ["--nodaemon", "--pidfile=", f"--logfile={self.home}/log", "mailhub"]
        arguments += ["--config", str(self.home / "mailhub.ini")]
        self._process = subprocess.Popen(self.command(arguments), cwd=self.home, env=_ENVIRONMENT)
        wait_for(self.ports["smtp"], b"220")
        wait_for(self.ports["imap"], b"* OK")

    def command(self, arguments: list[str]) -> list[str]:
        """What runs it with these arguments of twistd."""
        return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments]

    def maildir(self, account: int) -> Path:
        """An account's, once it has logged in."""
        [found] = (self.home / "state" / "mail").rglob(f"user{account}")
        return found

    def lay(self, account: int, mailbox: str, make: Callable[[Path], object]) -> None:
        """Have a maildir made for a mailbox that an account shall find."""
        folder = self.maildir(account) / f".{mailbox}"
        make(folder)
        (folder / "maildirfolder").touch()

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()

    def roots(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid]


_homes: list[Path] = []


def new_home(name: str) -> Path:
    """A directory for one server's state, on a disk that means its syncs, until `clean`."""
    made = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=os.environ.get("BENCH_DIR")))
    _homes.append(made)
    return made


def clean() -> None:
    """Remove all state, when nothing is measured any more.

    Not earlier: after thousands of files were removed, ext4 looks for minutes
    at each of their inodes before it gives out another one.
    """
    for home in _homes:
        shutil.rmtree(home, ignore_errors=True)


def client_context() -> ssl.SSLContext:
    """TLS that trusts any certificate: these are our own servers, a moment old."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def used(peer: Peer) -> float:
    """CPU seconds of the server so far."""
    return processes.cpu(peer.roots())
