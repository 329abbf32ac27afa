"""Thousands of messages, sound and broken, in by SMTP and compared on the way out."""

from __future__ import annotations

import imaplib
import poplib
import random
import re
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.conftest import Hub

pytestmark = pytest.mark.interop

READER = "corpus@hub.example"
PASSWORD = "corpus password"
SEED = 20261124
COUNT = 2000
SAMPLES = sorted((Path(__file__).parent.parent / "corpus" / "mime").glob("*.eml"))


def crlf(octets: bytes) -> bytes:
    """The octets with SMTP's line ends, and one at the end."""
    lines = re.sub(rb"\r\n|\r|\n", b"\n", octets).split(b"\n")
    return b"\r\n".join(lines).rstrip(b"\r\n") + b"\r\n"


def messages() -> list[bytes]:
    """Samples, and samples that were cut, doubled, and strewn with strange octets."""
    rng = random.Random(SEED)
    samples = [crlf(path.read_bytes()) for path in SAMPLES]
    made = list(samples)
    while len(made) < COUNT:
        octets = bytearray(rng.choice(samples))
        for _ in range(rng.randrange(1, 6)):
            damage = rng.randrange(5)
            at = rng.randrange(len(octets) + 1)
            if damage == 0:
                del octets[at : at + rng.randrange(80)]
            elif damage == 1:
                octets[at:at] = octets[: rng.randrange(300)]
            elif damage == 2:
                octets[at:at] = rng.choice(
                    [b"\r\n.\r\n", b"\r\n..\r\n", b"\r\n\r\n", b"\0", b"\xff\xfe", b"--", b"."]
                )
            elif damage == 3:
                octets[at:at] = rng.randbytes(rng.randrange(40))
            else:
                octets[at:at] = b"x" * rng.choice([998, 1000, 5000])
        made.append(crlf(bytes(octets)))
    return made


def mark(number: int, octets: bytes) -> bytes:
    """A message that can be told from the others by its first line."""
    return b"X-Number: %d\r\n" % number + octets


def number_of(octets: bytes) -> int:
    """Which message that was, past the trace fields that delivery put before it."""
    found = re.search(rb"^X-Number: (\d+)\r$", octets, re.MULTILINE)
    assert found is not None
    return int(found[1])


def content(octets: bytes) -> bytes:
    """A message without the trace fields of this hub."""
    return octets[octets.index(b"X-Number: ") :]


@pytest.fixture(scope="module")
def sent(hub: Hub) -> list[bytes]:
    """All of them, delivered."""
    command = [sys.executable, "-m", "mailhub", "--state", str(hub.state), "account", "add", READER]
    subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
    made = [mark(number, octets) for number, octets in enumerate(messages())]
    with smtplib.SMTP(hub.host, hub.ports["smtp"]) as client:
        client.ehlo("client.example")
        for octets in made:
            client.mail("s@far.example", ["BODY=8BITMIME"])
            client.rcpt(READER)
            code, said = client.data(octets)
            assert code == 250, said
    return made


def test_imap_gives_back_every_octet(hub: Hub, sent: list[bytes]) -> None:
    """BODY[] is what SMTP took, RFC822.SIZE its length, and its structure can be told.

    A literal holds no NUL (RFC 3501 §9, CHAR8): 0x80 stands for it, as Dovecot has it.
    """
    imap = imaplib.IMAP4_SSL(hub.host, hub.ports["imaps"], ssl_context=hub.context())
    imap.login(READER, PASSWORD)
    while int(imap.select(readonly=True)[1][0] or b"0") < len(sent):
        pass
    seen = set()
    for first in range(1, len(sent) + 1, 200):
        _, data = imap.fetch(f"{first}:{first + 199}", "(RFC822.SIZE BODY.PEEK[])")
        for part in data:
            if isinstance(part, tuple):
                size = re.search(rb"RFC822\.SIZE (\d+)", part[0])
                assert size is not None
                assert int(size[1]) == len(part[1])
                number = number_of(part[1])
                told = sent[number].replace(b"\0", b"\x80")
                assert content(part[1]) == told, f"message {number}"
                seen.add(number)
    assert seen == set(range(len(sent)))
    status, data = imap.fetch("1:*", "(ENVELOPE BODYSTRUCTURE)")
    assert status == "OK"
    imap.logout()


def test_pop_gives_back_every_octet(hub: Hub, sent: list[bytes]) -> None:
    """RETR is what SMTP took, its dots undone."""
    pop = poplib.POP3_SSL(hub.host, hub.ports["pop3s"], context=hub.context())
    pop.user(READER)
    pop.pass_(PASSWORD)
    count, _ = pop.stat()
    assert count == len(sent)
    for message in range(1, count + 1):
        pop._putcmd(f"RETR {message}")  # type: ignore[attr-defined]  # poplib splits lines at bare LF
        pop._getresp()  # type: ignore[attr-defined]
        lines = []
        while (line := pop.file.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b"..") else line)
        octets = b"".join(lines)
        assert content(octets) == sent[number_of(octets)]
    pop.quit()
