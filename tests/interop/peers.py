"""A hub under twistd, name servers and scripted exchanges: the pieces of a small internet."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests import commandline

PASSWORD = "correct horse"

Predicate = Callable[[], Any]


def until(ready: Predicate, what: str, seconds: float = 20) -> Any:
    """The first true thing that `ready` gives."""
    deadline = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.03)


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on now, for TCP or UDP."""
    probes: list[socket.socket] = []
    try:
        while len(probes) < count:
            probe = socket.socket()
            probe.bind((address, 0))
            probes.append(probe)
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextlib.contextmanager
def home(prefix: str) -> Iterator[Path]:
    """A directory that other users can reach, as daemons need it."""
    path = Path(tempfile.mkdtemp(prefix=f"mailhub-{prefix}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Twistd:
    """A hub as an operator runs it: ``mailhub`` prepares it, ``twistd mailhub`` runs it.

    Args:
        place: Its directory.
        more: Sections for its configuration, after the usual ones.
        hub: Lines for ``[hub]``.
        ports: Of services that must have a certain one.
        services: Those that listen.
    """

    def __init__(
        self,
        place: Path,
        more: str = "",
        *,
        domain: str = "hub.example",
        hostname: str = "mx.hub.example",
        ports: Mapping[str, int] | None = None,
        services: tuple[str, ...] = ("smtp", "submission", "imap"),
        certificates: str = "",
    ) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place, self.domain, self.state = place, domain, place / "state"
        wanted = dict(ports or {})
        missing = [name for name in services if name not in wanted]
        self.ports = {**wanted, **dict(zip(missing, free_ports(len(missing)), strict=True))}
        self.config = place / "mailhub.ini"
        self._head = f"[hub]\nhostname = {hostname}\nstate = {self.state}\n[listen]\n"
        for name in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"):
            port = self.ports.get(name)
            self._head += f"{name} = 127.0.0.1:{port}\n" if port else f"{name} =\n"
        if certificates:
            self._head += f"[tls]\ncertificates = {certificates}\n"
        self.configure(more)
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.operate("domain", "add", domain)

    def configure(self, more: str) -> None:
        """Write the configuration."""
        usual = "" if "[auth]" in more else "[auth]\nplaintext on loopback = yes\n"
        self.config.write_text(self._head + usual + more, encoding="utf-8")

    def operate(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What the command line prints."""
        said = commandline.operate("--config", str(self.config), *arguments, stdin=stdin)
        assert not check or said.status == 0, said.err
        return said.out

    def add(self, name: str, password: str = PASSWORD) -> str:
        """Add an account; its address."""
        address = f"{name}@{self.domain}"
        self.operate("account", "add", address, "--password", "-", stdin=password + "\n")
        return address

    def start(self) -> None:
        """Start it, and wait until it listens."""
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        twistd += ["--nodaemon", "--pidfile=", f"--logfile={self.place}/log", "mailhub"]
        self.process = subprocess.Popen([*twistd, "--config", str(self.config)], cwd=self.place)
        until(self._listens, f"the hub: {self.log[-2000:]}")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        try:
            for port in self.ports.values():
                socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def reload(self) -> None:
        """Have it obey its configuration as it is now; start it if it does not run."""
        if self.process is None:
            self.start()
            return
        before = self.log.count("reloaded: ")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log.count("reloaded: ") > before, f"a reload: {self.log[-2000:]}")

    def stop(self) -> None:
        """Stop it."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            assert process.wait(20) in (0, -signal.SIGTERM)

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.place / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # ---- As a client ---------------------------------------------------------------------------

    def submit(
        self, sender: str, *recipients: str, subject: str = "hello", password: str = PASSWORD
    ) -> str:
        """Send a message; its queue id."""
        text = f"From: <{sender}>\r\nSubject: {subject}\r\n\r\nHello.\r\n"
        with smtplib.SMTP("127.0.0.1", self.ports["submission"]) as client:
            client.login(sender, password)
            client.mail(sender)
            for recipient in recipients:
                assert client.rcpt(recipient)[0] == 250
            code, reply = client.data(text)
        assert code == 250, reply
        return reply.split()[-1].decode()

    def imap(self, address: str, password: str = PASSWORD) -> imaplib.IMAP4:
        """A logged-in connection."""
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        client.login(address, password)
        return client

    def message(self, address: str, subject: str, seconds: float = 20) -> str:
        """A message by its subject, once it is in the INBOX."""
        client = self.imap(address)
        client.select(readonly=True)

        def found() -> bytes | None:
            client.noop()
            _, [uids] = client.uid("SEARCH", "HEADER", "SUBJECT", f'"{subject}"')
            if not uids:
                return None
            _, data = client.uid("FETCH", uids.split()[-1].decode(), "(BODY.PEEK[])")
            octets: bytes = data[0][1]
            return octets

        text: bytes = until(found, f"{subject!r} for {address}: {self.log[-2000:]}", seconds)
        client.logout()
        return text.decode()

    def bounce(self, address: str, recipient: str) -> str:
        """The bounce about a recipient, once it is there."""
        client = self.imap(address)
        client.select(readonly=True)

        def found() -> bytes | None:
            client.noop()
            _, [uids] = client.uid("SEARCH", "TEXT", f'"Final-Recipient: rfc822; {recipient}"')
            if not uids:
                return None
            _, data = client.uid("FETCH", uids.split()[-1].decode(), "(BODY.PEEK[])")
            octets: bytes = data[0][1]
            return octets

        text: bytes = until(found, f"a bounce for {recipient}: {self.log[-2000:]}")
        client.logout()
        return text.decode()

    # ---- As an operator ------------------------------------------------------------------------

    def show(self, queue_id: str) -> dict[str, Any]:
        """All that the queue tells of a message."""
        text = self.operate("queue", "show", queue_id, "--json", check=False)
        shown: dict[str, Any] = json.loads(text) if text.strip() else {}
        return shown

    def deferred(self, queue_id: str) -> dict[str, Any]:
        """The same, once the first recipient has been deferred."""

        def found() -> dict[str, Any] | None:
            shown = self.show(queue_id)
            recipients = shown.get("recipients", [])
            tried = recipients and recipients[0].get("attempts", 0) >= 1
            return shown if tried else None

        shown: dict[str, Any] = until(found, f"{queue_id} to be deferred: {self.log[-2000:]}")
        return shown


# ---- Exchanges -----------------------------------------------------------------------------


@dataclass
class Taken:
    """What an exchange was given in one transaction."""

    sender: str
    recipients: list[str]
    content: bytes


@dataclass
class Exchange:
    """A mail exchange on an address of its own, that does as it is told.

    Attributes:
        replies: By verb, in place of ``250 OK``; ``BANNER`` is a verb too.
        features: Lines of EHLO's reply.
    """

    address: str
    port: int
    replies: dict[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ("8BITMIME", "PIPELINING")
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        exchange = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                exchange.connections += 1
                exchange.serve(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            address_family = socket.AF_INET6 if ":" in exchange.address else socket.AF_INET
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server((self.address, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, reader: Any, writer: Any) -> None:
        """One connection."""

        def say(*lines: str) -> None:
            writer.write("".join(line + "\r\n" for line in lines).encode())

        say(self.replies.get("BANNER", f"220 {self.address} ESMTP"))
        taken = Taken("", [], b"")
        for raw in reader:
            line = raw.decode("utf-8", "replace").strip()
            verb = line.upper().split(" ")[0].split(":")[0]
            reply = self.replies.get(verb, "250 2.0.0 OK")
            if verb == "EHLO" and verb not in self.replies:
                said = [self.address, *self.features]
                say(*(f"250-{it}" for it in said[:-1]), f"250 {said[-1]}")
                continue
            if verb == "MAIL":
                taken = Taken(line.partition("<")[2].partition(">")[0], [], b"")
            elif verb == "RCPT" and reply.startswith("2"):
                taken.recipients.append(line.partition("<")[2].partition(">")[0])
            elif verb == "DATA" and reply.startswith("2"):
                say("354 go on")
                lines = iter(reader.readline, b".\r\n")
                taken.content = b"".join(lines)
                self.taken.append(taken)
                reply = self.replies.get("END", "250 2.0.0 kept")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            say(reply)

    def wait(self, recipient: str) -> Taken:
        """A message for a recipient, once it is here."""

        def found() -> Taken | None:
            return next((it for it in self.taken if recipient in it.recipients), None)

        taken: Taken = until(found, f"{recipient} at {self.address}")
        return taken


# ---- Names ---------------------------------------------------------------------------------


class NameServer:
    """NSD with zones of our own, on 127.0.0.1.

    Args:
        zones: Their records, without SOA and NS, in a master file's form.
        broken: Zones that are configured and have no data: SERVFAIL.
    """

    def __init__(self, place: Path, zones: Mapping[str, str], broken: tuple[str, ...] = ()) -> None:
        place.mkdir(parents=True)
        self._place = place
        [self.port] = free_ports(1)
        config = f"""
server:
  ip-address: 127.0.0.1
  port: {self.port}
  username: ""
  chroot: ""
  zonesdir: "{place}"
  database: ""
  pidfile: "{place}/nsd.pid"
  xfrdfile: "{place}/xfrd.state"
  zonelistfile: "{place}/zone.list"
  xfrdir: "{place}"
  server-count: 1
  ipv4-edns-size: 1232
remote-control:
  control-enable: no
"""
        for zone in (*zones, *broken):
            config += f'zone:\n  name: "{zone}"\n  zonefile: "{zone}.zone"\n'
        for zone, records in zones.items():
            soa = f"@ SOA ns.{zone}. root.{zone}. 1 3600 600 86400 60\n@ NS ns.{zone}.\n"
            text = f"$ORIGIN {zone}.\n$TTL 60\n{soa}ns A 127.0.0.1\n{records}\n"
            (place / f"{zone}.zone").write_text(text, encoding="ascii")
        (place / "nsd.conf").write_text(config, encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def program() -> str | None:
        """NSD, if it is installed."""
        return shutil.which("nsd", path=os.environ.get("PATH", "") + ":/usr/sbin")

    def start(self) -> None:
        """Start it and wait for its port."""
        program = self.program()
        assert program
        log = (self._place / "log").open("wb")
        command = [program, "-d", "-c", str(self._place / "nsd.conf")]
        self._process = subprocess.Popen(command, stdout=log, stderr=log)

        def listens() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, (self._place / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True

        until(listens, "nsd")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
