"""Sections of large messages are the same as those of small ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import extract
from mailhub.imap.extract import large, small
from mailhub.imap.item import Octets
from mailhub.imap.section import Section
from mailhub.imap.state import Selected
from mailhub.imap.view import View
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


@given(HEADS, LINES, SECTIONS, PARTIAL, st.integers(1, 5))
def test_alike(
    head: bytes, rest: bytes, wanted: Section, partial: tuple[int, int] | None, piece: int
) -> None:
    """However small the pieces are in which it is read, what is sent is the same."""
    octets = head + rest
    items = [Octets(b"X", wanted, partial), Octets(b"Y", Section(kind="HEADER"))]
    mailbox = FakeMailbox("INBOX")
    selected = Selected(mailbox, View(mailbox), read_only=True, changed=lambda: None)
    with patch.object(extract, "PIECE", piece):
        found = run(joined(large(selected, 1, FakeContent(octets), items)))
    assert found == small(octets, items)
