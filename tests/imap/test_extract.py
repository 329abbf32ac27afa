"""Sections of large messages are the same as those of small ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import extract
from mailhub.imap.extract import Known, large, small, study
from mailhub.imap.item import Kind, Octets
from mailhub.imap.section import Section, UnknownEncoding
from mailhub.mail.part import parse
from tests.imap.fakes import FakeContent, FakeMailbox
from tests.rig import run

LINES = st.lists(
    st.sampled_from([b"A: b\r\n", b"\r\n", b"\n", b"C: d\n", b"--x\r\n", b"\r", b"text"])
).map(b"".join)
HEADS = st.sampled_from(
    [b"", b"\r\n", b"Content-Type: multipart/mixed; boundary=x\r\n", b"A: x\r\n\r\n"]
)
SECTIONS = st.builds(
    Section,
    part=st.sampled_from([(), (1,), (2, 1)]),
    kind=st.sampled_from(["", "TEXT", "HEADER"]),
) | st.builds(
    Section,
    part=st.sampled_from([(), (1,)]),
    kind=st.sampled_from(["HEADER.FIELDS", "HEADER.FIELDS.NOT"]),
    names=st.just((b"A",)),
)
PARTIAL = st.none() | st.tuples(st.integers(0, 30), st.integers(1, 30))


async def joined(parts: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([part async for part in parts])


def pair(octets: bytes, items: list[Octets], piece: int) -> tuple[bytes, bytes]:
    """What is sent of a message, taken for a large one and for a small one."""
    with patch.object(extract, "PIECE", piece):
        found = run(joined(large(FakeContent(octets), items, Known(1, tree=parse(octets)))))
    return found, small(octets, items)


@given(HEADS, LINES, SECTIONS, PARTIAL, st.integers(1, 5))
def test_alike(
    head: bytes, rest: bytes, wanted: Section, partial: tuple[int, int] | None, piece: int
) -> None:
    """However small the pieces are in which it is read, what is sent is the same."""
    items = [Octets(b"X", wanted, partial), Octets(b"Y", Section(kind="HEADER"))]
    found, expected = pair(head + rest, items, piece)
    assert found == expected


@given(
    st.sampled_from([b"base64", b"quoted-printable", b"8bit"]),
    st.lists(st.sampled_from([b"QUJD", b"AAAA\r\n", b"=41", b"=\r\n", b"\r\n", b"--x\r\n", b"\0"])),
    st.sampled_from([(), (1,), (2,)]),
    PARTIAL,
    st.integers(1, 5),
)
def test_binary_alike(
    encoding: bytes,
    lines: list[bytes],
    part: tuple[int, ...],
    partial: tuple[int, int] | None,
    piece: int,
) -> None:
    """So are decoded parts and their sizes, but for the kind of literal where there is a NUL."""
    field = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: " + encoding + b"\r\n"
    content = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
        + field + b"\r\n" + b"".join(lines)
    )  # fmt: skip
    items = [
        Octets(b"X", Section(part), partial, kind=Kind.BINARY),
        Octets(b"Y", Section(part), kind=Kind.SIZE),
    ]
    found, expected = pair(content, items, piece)
    assert found.replace(b"~{", b"{") == expected.replace(b"~{", b"{")


class TestBinary:
    @pytest.mark.parametrize("limit", [10, 10_000])
    def test_nul(self, limit: int) -> None:
        """A part with a NUL is a literal8 (RFC 3516 §4.2)."""
        content = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"
        item = Octets(b"BINARY[1]", Section((1,)), kind=Kind.BINARY)
        found = pair(content, [item], limit)
        assert found == (b"BINARY[1] ~{3}\r\n\0\0\0",) * 2

    def test_unknown(self) -> None:
        """What cannot be decoded is refused before anything is said."""
        content = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: x-own\r\n\r\nx"
        items = [Octets(b"X", Section()), Octets(b"Y", Section((1,)), kind=Kind.SIZE)]
        with pytest.raises(UnknownEncoding):
            small(content, items)
        pieces = large(FakeContent(content), items, Known(1, tree=parse(content)))
        with pytest.raises(UnknownEncoding):
            run(anext(pieces))

    def test_measured_once(self) -> None:
        """A part that is fetched in pieces is measured once."""
        content = FakeContent(b"\r\n" + b"x" * 100)
        known = Known(1, tree=parse(b"\r\n" + b"x" * 100))
        for start in (0, 10):
            item = Octets(b"X", Section((1,)), (start, 10), kind=Kind.BINARY)
            assert run(joined(large(content, [item], known))) == b"X {10}\r\n" + b"x" * 10
        assert len(content.reads) == 3


def test_gone() -> None:
    """The structure of a message that has gone is not there."""
    mailbox = FakeMailbox("INBOX")
    assert not run(study(mailbox, 1, [Section((1,))], Known(1)))
    assert run(study(mailbox, 1, [Section()], Known(1)))
