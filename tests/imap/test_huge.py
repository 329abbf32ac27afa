"""Messages that nobody sends in earnest: their answers are bounded in time and size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mailhub.imap.extract import small
from mailhub.imap.item import Kind, Octets
from mailhub.imap.section import Section
from mailhub.imap.structure import summary
from mailhub.mail.part import LIMITS
from tests.imap.given import Talk, store
from tests.imap.test_structure import well_formed

MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
MESSAGES = {
    "10,000 parts": MULTIPART + b"--b\r\n\r\nx\r\n" * 10_000 + b"--b--\r\n",
    "1,000 multiparts in each other": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(1_000)
    ),
    "1,000 with one boundary": (MULTIPART + b"--b\r\n") * 1_000,
    "1,000 messages in each other": b"Content-Type: message/rfc822\r\n\r\n" * 1_000 + b"x",
    "10 MB of header": b"Subject: x\r\n" + b"A: b\r\n" * 1_600_000,
    "a field of 10 MB": b"To: " + b"a@b, " * 2_000_000 + b"\r\n\r\n",
    "20,000 parameters": (
        b"Content-Type: text/plain" + b"".join(b"; p%d=v" % n for n in range(20_000)) + b"\r\n\r\n"
    ),
    "nested comments": b"To: " + b"(" * 100_000 + b"\r\n\r\n",
    "15,000 encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 15_000 + b"\r\n\r\n",
}
SECTIONS = [
    Octets(b"a", Section((1,) * 32)),
    Octets(b"b", Section((3,), "MIME")),
    Octets(b"c", Section((1,)), kind=Kind.BINARY),
    Octets(b"d", Section((), "HEADER.FIELDS", (b"subject",))),
]


@contextmanager
def quick(seconds: float = 1.0) -> Iterator[None]:
    """What is done inside takes no longer, in CPU time."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


@pytest.mark.parametrize("name", MESSAGES)
def test_bounded(name: str) -> None:
    """A summary and sections of it, well formed, in no time."""
    octets = MESSAGES[name]
    with quick():
        made = summary(octets)
        small(octets, SECTIONS)
    assert len(made.bodystructure) < 200 * LIMITS.parts
    assert len(made.envelope) < 1_000_000
    well_formed(made.envelope)
    well_formed(made.bodystructure)


@pytest.mark.parametrize("name", MESSAGES)
def test_fetched(name: str) -> None:
    """FETCH of all that there is of it, through a session."""
    mail = store()
    uid = mail.inbox.deliver(MESSAGES[name])
    talk = Talk(mail).select()
    items = b"(ENVELOPE BODYSTRUCTURE PREVIEW BODY.PEEK[1] BINARY.SIZE[1] BODY.PEEK[HEADER]<0.99>)"
    with quick(2.0):
        heard = talk.raw(b"a UID FETCH %d %b\r\n" % (uid, items))
    assert heard.endswith(b"a OK Fetch completed\r\n")
