"""Content on its way to a draft."""

from __future__ import annotations

import pytest

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.ports.conversation import Client
from mailhub.smtp.incoming import Incoming
from mailhub.smtp.limits import Limits
from mailhub.smtp.reader import Reader
from tests.rig import run
from tests.smtp.fakes import FakeDraft, FakeIntake

LIMITS = Limits(size=100, content_block=50)


@pytest.fixture
def draft() -> FakeDraft:
    return FakeDraft(FakeIntake(), Client("192.0.2.1", 1), Envelope())


@pytest.fixture
def reader() -> Reader:
    return Reader(100, 1000)


def test_data(reader: Reader, draft: FakeDraft) -> None:
    """Content goes to the draft as it comes; at its end the draft is handed out."""
    incoming = Incoming(reader, LIMITS, draft)
    assert incoming.left
    reader.feed(b"one\r\ntw")
    assert not run(incoming.take())
    assert draft.octets == b"one\r\ntw"
    reader.feed(b"o\r\n.\r\nQUIT\r\n")
    assert run(incoming.take())
    assert not incoming.left
    assert run(incoming.finish()) is draft
    assert (draft.octets, draft.ended) == (b"one\r\ntwo\r\n", "")
    assert reader.line() == b"QUIT"
    run(incoming.abort())
    assert draft.ended == ""


def test_chunks(reader: Reader, draft: FakeDraft) -> None:
    """So does content in chunks; a CR held at the very end is a fault of it."""
    incoming = Incoming(reader, LIMITS, draft, chunked=True)
    assert not incoming.left
    reader.feed(b"abc\rNOOP\r\n")
    incoming.expect(4)
    assert run(incoming.take())
    assert run(incoming.finish()) is None
    assert incoming.fault is not None
    assert draft.ended == "aborted"


def test_mended(draft: FakeDraft) -> None:
    """For a normalised peer that CR becomes a line end."""
    reader = Reader(100, 1000, normalise=True)
    incoming = Incoming(reader, LIMITS, draft, chunked=True)
    reader.feed(b"abc\r")
    incoming.expect(4)
    assert run(incoming.take())
    assert run(incoming.finish()) is draft
    assert draft.octets == b"abc\r\n"


def test_refused(reader: Reader, draft: FakeDraft) -> None:
    """A refusal of the draft aborts it, and is the fault; the rest is dropped."""
    incoming = Incoming(reader, LIMITS, draft)
    reader.feed(b"full disk")
    assert not run(incoming.take())
    assert draft.ended == "aborted"
    reader.feed(1000 * b"x" + b"\r\n.\r\n")
    assert run(incoming.take())
    assert run(incoming.finish()) is None
    assert incoming.fault is not None
    assert incoming.fault.reply.code == 452


def test_too_big(reader: Reader, draft: FakeDraft) -> None:
    """Content over the limit is a fault, counted or announced by a chunk."""
    incoming = Incoming(reader, LIMITS, draft)
    reader.feed(101 * b"x")
    assert not run(incoming.take())
    assert draft.ended == "aborted"
    chunked = Incoming(reader, LIMITS, None, chunked=True)
    chunked.expect(101)
    assert chunked.fault is not None
    assert chunked.fault.reply.text.startswith("552 5.3.4 ")


def test_dropped(reader: Reader) -> None:
    """Without a draft all is read and dropped."""
    incoming = Incoming(reader, LIMITS, None, chunked=True)
    incoming.expect(3, Refusal(503, "5.1", "No"))
    reader.feed(b"xyzNOOP\r\n")
    assert run(incoming.take())
    assert reader.line() == b"NOOP"


def test_blocks(reader: Reader) -> None:
    """Blocks of content are counted, so that patience can be measured by them."""
    incoming = Incoming(reader, Limits(content_block=50), None)
    for size, blocks in ((49, 0), (1, 1), (49, 1), (70, 2)):
        reader.feed(size * b"x")
        run(incoming.take())
        assert incoming.blocks == blocks
