"""A demo hub in a process of its own, for clients that other people wrote."""

from __future__ import annotations

import imaplib
import json
import shutil
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest


@dataclass
class Hub:
    """A running demo, as its ready file describes it."""

    process: subprocess.Popen[bytes]
    state: Path
    host: str
    ports: dict[str, int]
    ca: str
    passwords: dict[str, str]

    def context(self) -> ssl.SSLContext:
        """TLS that trusts the demo's authority, and nothing else."""
        return ssl.create_default_context(cafile=self.ca)

    def imap(self, address: str = "alice@hub.example") -> imaplib.IMAP4_SSL:
        """A logged-in IMAP connection."""
        client = imaplib.IMAP4_SSL(self.host, self.ports["imaps"], ssl_context=self.context())
        client.login(address, self.passwords[address])
        return client

    def deliver(self, message: EmailMessage | bytes, to: str = "alice@hub.example") -> None:
        """Hand a message in on port 25's stand-in, as a stranger would."""
        with smtplib.SMTP(self.host, self.ports["smtp"]) as client:
            octets = message if isinstance(message, bytes) else message.as_bytes(policy=SMTP)
            client.sendmail("sender@elsewhere.example", [to], octets)

    def wait(self, address: str, subject: str, mailbox: str = "INBOX") -> bytes:
        """The message with this subject, once it is in a mailbox."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            client = self.imap(address)
            client.select(mailbox, readonly=True)
            _, [found] = client.uid("SEARCH", "SUBJECT", f'"{subject}"')
            if found:
                _, data = client.uid("FETCH", found.split()[-1].decode(), "(BODY.PEEK[])")
                client.logout()
                octets: bytes = data[0][1]
                return octets
            client.logout()
            time.sleep(0.05)
        raise AssertionError(f"no message {subject!r} for {address}")


def start(directory: Path, *options: str) -> Hub:
    """Start a demo and wait until it listens."""
    ready = directory / "ready.json"
    command = [
        sys.executable,
        "-m",
        "mailhub",
        "demo",
        "--state",
        str(directory / "state"),
    ]
    command += ["--ports", "free", "--ready", str(ready), *options]
    with (directory / "demo.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError((directory / "demo.log").read_text(encoding="utf-8"))
        time.sleep(0.05)
    facts = json.loads(ready.read_text(encoding="utf-8"))
    passwords = {account["address"]: account["password"] for account in facts["accounts"]}
    state = directory / "state"
    return Hub(process, state, facts["host"], facts["ports"], facts["ca"], passwords)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One demo for all tests that do not hurt it."""
    found = start(tmp_path_factory.mktemp("hub"))
    yield found
    found.process.terminate()
    assert found.process.wait(20) == 0, "the demo stops cleanly"


def program(name: str) -> str:
    """The path of a program, or a skipped test."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def call(
    *command: str, stdin: bytes = b"", timeout: float = 60, env: dict[str, str] | None = None
) -> bytes:
    """What a program prints; it must succeed."""
    result = subprocess.run(
        command, input=stdin, capture_output=True, timeout=timeout, env=env, check=False
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"{command[0]} → {result.returncode}: {said.decode()}"
    return said


def message(subject: str, text: str = "Hello.\n") -> EmailMessage:
    """A plain message from a stranger to alice."""
    made = EmailMessage()
    made["From"] = "Sender <sender@elsewhere.example>"
    made["To"] = "alice@hub.example"
    made["Subject"] = subject
    made.set_content(text)
    return made
