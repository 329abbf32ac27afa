"""SIGKILL under load: what was answered with 250 (or OK) is there afterwards, once.

A hub of real processes is killed at random moments and started again, while
clients send to a local account, to a domain whose next hop is dead, and by
APPEND. ``MAILHUB_KILLS`` sets the number of kills, ``MAILHUB_SEED`` the seed.
"""

from __future__ import annotations

import imaplib
import json
import os
import random
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import commandline

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("MAILHUB_KILLS", "20"))
SEED = int(os.environ.get("MAILHUB_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
PASSWORD = "correct horse"
READER = "reader@hub.example"
KEEPER = "keeper@hub.example"


@dataclass
class Ledger:
    """What clients were promised.

    Attributes:
        promised: Ids whose 250 (or OK) was heard.
        offered: Ids sent whole, whether or not an answer came.
    """

    promised: set[str] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)


class Hub:
    """A hub that can be killed and started again on the same state and ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.smtp, self.imap, dead = _free_ports(3)
        self.config = home / "mailhub.ini"
        self.config.write_text(
            f"""
[hub]
hostname = hub.example
state = {home}/state
[listen]
smtp = tcp:{self.smtp}:interface=127.0.0.1
imap = tcp:{self.imap}:interface=127.0.0.1
submission =
submissions =
imaps =
pop3 =
pop3s =
[auth]
plaintext on loopback = yes
[smtp]
trusted networks = 127.0.0.1
[route all]
host = 127.0.0.1:{dead}
tls = none
""",
            encoding="utf-8",
        )
        (home / "state").mkdir(mode=0o700)
        self.operate("domain", "add", "hub.example")
        for address in (READER, KEEPER):
            self.operate("account", "add", address, "--password", "-", stdin=PASSWORD)
        self.process: subprocess.Popen[bytes] | None = None

    def operate(self, *arguments: str, stdin: str = "") -> str:
        return commandline.done("--config", str(self.config), *arguments, stdin=stdin)

    def start(self) -> None:
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        twistd += ["--nodaemon", "--pidfile=", f"--logfile={self.home}/log", "mailhub"]
        self.process = subprocess.Popen([*twistd, "--config", str(self.config)], cwd=self.home)
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.imap), 1) as probe:
                    if probe.recv(10):
                        return
            except OSError:
                assert self.process.poll() is None, (self.home / "log").read_text()[-3000:]
                assert time.monotonic() < deadline, "the hub does not start"
                time.sleep(0.02)

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(20)

    def reader(self, address: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.imap)
        client.login(address, PASSWORD)
        return client


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def send(
    hub: Hub, ledger: Ledger, name: str, to: str, sizes: list[int], stop: threading.Event
) -> None:
    """Send as fast as answers come, until the hub dies."""
    rng = random.Random(name)
    try:
        with smtplib.SMTP("127.0.0.1", hub.smtp, timeout=10) as client:
            client.ehlo("client.example")
            for number in range(100_000):
                if stop.is_set():
                    return
                ident = f"{name}.{number}"
                body = f"Subject: <{ident}>\r\n\r\n" + ("x" * 70 + "\r\n") * (
                    rng.choice(sizes) // 72
                )
                client.mail("s@elsewhere.example")
                client.rcpt(to)
                ledger.offered.add(ident)
                if client.data(body.encode())[0] == 250:
                    ledger.promised.add(ident)
    except (OSError, smtplib.SMTPException):
        return


def append(hub: Hub, ledger: Ledger, name: str, stop: threading.Event) -> None:
    """APPEND until the hub dies."""
    try:
        client = hub.reader(KEEPER)
        for number in range(100_000):
            if stop.is_set():
                return
            ident = f"{name}.{number}"
            ledger.offered.add(ident)
            body = f"Subject: <{ident}>\r\n\r\nkept\r\n".encode()
            if client.append("INBOX", "", None, body)[0] == "OK":
                ledger.promised.add(ident)
    except (OSError, imaplib.IMAP4.error):
        return


def found(hub: Hub, address: str) -> Counter[str]:
    """Ids in an INBOX, with how often each is there; every message must be whole."""
    client = hub.reader(address)
    client.select(readonly=True)
    _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    octets = b"".join(part[1] for part in data if isinstance(part, tuple))
    return Counter(re.findall(r"Subject: <([^>]+)>", octets.decode()))


def gathered(hub: Hub, address: str, ledger: Ledger) -> Counter[str]:
    """What is in an INBOX once the hub has taken up what the kills left, or after a minute."""
    deadline = time.monotonic() + 60
    while True:
        counts = found(hub, address)
        if ledger.promised <= set(counts) or time.monotonic() > deadline:
            return counts
        time.sleep(0.5)


def test_sigkill_under_load(tmp_path: Path) -> None:
    """Every 250 and every APPEND's OK outlives any number of SIGKILLs, each exactly once."""
    sys.stdout.write(f"again: MAILHUB_KILLS={KILLS} MAILHUB_SEED={SEED}\n")  # shown if it fails
    rng = random.Random(SEED)
    hub = Hub(tmp_path)
    local, remote, kept = Ledger(), Ledger(), Ledger()
    for cycle in range(KILLS):
        hub.start()
        stop = threading.Event()
        sizes = [200, 4000, 300_000] if cycle % 4 == 0 else [200, 4000]
        jobs = [
            *[(send, (local, f"l{cycle}.{i}", READER, sizes)) for i in range(3)],
            (send, (remote, f"r{cycle}", "x@far.example", sizes)),
        ]
        threads = [
            threading.Thread(target=work, args=(hub, *arguments, stop)) for work, arguments in jobs
        ]
        threads.append(threading.Thread(target=append, args=(hub, kept, f"k{cycle}", stop)))
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.05, 0.8))
        hub.end(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    hub.start()
    for ledger, address in ((local, READER), (kept, KEEPER)):
        _check(ledger, gathered(hub, address, ledger))
        assert len(ledger.promised) > KILLS, "there was load"
    items = json.loads(hub.operate("queue", "list", "--json", "--limit", "0"))
    assert len(remote.promised) <= len(items) <= len(remote.offered)
    assert len({item["id"] for item in items}) == len(items)
    hub.end(signal.SIGTERM)


def _check(ledger: Ledger, counts: Counter[str]) -> None:
    lost = ledger.promised - set(counts)
    assert not lost, f"lost after a promise: {sorted(lost)[:5]} and {len(lost)} in all, seed {SEED}"
    twice = {ident for ident, count in counts.items() if count > 1}
    assert not twice, f"there twice: {sorted(twice)[:5]} and {len(twice)} in all, seed {SEED}"
    assert set(counts) <= ledger.offered
