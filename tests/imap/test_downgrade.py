"""8-bit text for clients that do not expect it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.downgrade import downgraded
from mailhub.imap.structure import string, summary
from mailhub.mail.charset import decode_words
from tests.imap.test_structure import well_formed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'("a" NIL {2}\r\nb\r)', b'("a" NIL {2}\r\nb\r)'),
        ("(%s)", b'("=?utf-8?B?R3LDvMOfZQ==?=")'),
        (b"({3}\r\n\xff\xfea \"x\")", b"({3}\r\n\xff\xfea \"x\")"),
    ],
)  # fmt: skip
def test_values(value: bytes | str, expected: bytes) -> None:
    """UTF-8 becomes encoded words; all else stays as it is."""
    if isinstance(value, str):
        value = b"(" + string("Grüße".encode()) + b")"
    assert downgraded(value) == expected


@given(st.lists(st.text(max_size=60)))
def test_meaning(texts: list[str]) -> None:
    """What is meant is the same, well formed, US-ASCII, and no word is too long."""
    values = [string(text.encode()) for text in texts]
    value = b"(NIL" + b"".join(b" " + one for one in values) + b")"
    found = downgraded(value)
    assert found.isascii()
    told = well_formed(found)
    assert isinstance(told, list)
    for text, one in zip(texts, told[1:], strict=True):
        assert isinstance(one, bytes)
        expected = text.replace("\0", "\ufffd")
        assert (one.decode() if expected.isascii() else decode_words(one)) == expected
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^ \"]*", found) if b"?B?" in word)


def test_envelope() -> None:
    """A message with 8-bit header fields has an ENVELOPE that any client reads."""
    octets = "From: Jürgen <jürgen@hub.example>\r\nSubject: Grüße {3}\r\n\r\n".encode()
    found = downgraded(summary(octets).envelope)
    assert found.isascii()
    assert well_formed(found)
