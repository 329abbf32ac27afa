"""Modified UTF-7: one spelling for each name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import mutf7

NAMES = st.text(st.characters(codec="utf-8"))


@given(NAMES)
def test_read_back(name: str) -> None:
    """Each name without lone surrogates comes back."""
    assert mutf7.decode(mutf7.encode(name)) == name


@given(st.binary())
def test_one_spelling(octets: bytes) -> None:
    """What decodes is the spelling that encoding gives; the rest raises ValueError."""
    try:
        name = mutf7.decode(octets)
    except ValueError:
        return
    assert mutf7.encode(name) == octets


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 §5.1.3
        (b"&Jjo-!", "☺!"),
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"a&-b", "a&b"),
    ],
)
def test_examples(octets: bytes, name: str) -> None:
    """The RFC's examples, both ways."""
    assert mutf7.decode(octets) == name
    assert mutf7.encode(name) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"&A",
        b"&AP8",
        b"&AGE-",
        b"&U,BTFw-&ZeVnLIqe-",
        b"\xc3\xa4",
        b"a\x07",
        b"&2AA-",
        b"&*-",
    ],
)
def test_refused(octets: bytes) -> None:
    """Unfinished, superfluous or split shifts, raw 8-bit octets, lone surrogates."""
    with pytest.raises(ValueError):  # noqa: PT011 -- any of its subclasses
        mutf7.decode(octets)
