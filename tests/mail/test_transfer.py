"""Transfer encodings, undone piece by piece."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.charset import decode_body
from mailhub.mail.transfer import DECODINGS, LINE

BASE64 = st.lists(
    st.sampled_from([b"QUJD", b"QQ==", b"=", b"\r\n", b"A", b"-", b"QUI=", b"QUJDRA"])
).map(b"".join)
QUOTED = st.lists(
    st.sampled_from(
        [b"=41", b"=\r\n", b"=", b"\r\n", b"a", b"=4", b"==", b" \r\n", b"\t", b"\r", b"=\n"]
    )
).map(b"".join)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=50)


def decoded(name: bytes, octets: bytes, cuts: list[int]) -> bytes:
    decoding = DECODINGS[name]()
    found, place = b"", 0
    while place < len(octets):
        size = cuts[place % len(cuts)]
        found += decoding.feed(octets[place : place + size])
        place += size
    return found + decoding.close()


@given(BASE64, CUTS)
def test_base64(octets: bytes, cuts: list[int]) -> None:
    """Any cut gives what the whole gives, rubbish and padding in the middle included."""
    assert decoded(b"base64", octets, cuts) == decode_body(octets, b"base64")


@given(QUOTED, CUTS)
def test_quoted_printable(octets: bytes, cuts: list[int]) -> None:
    """Any cut gives what the whole gives, broken escapes included."""
    assert decoded(b"quoted-printable", octets, cuts) == decode_body(octets, b"quoted-printable")


@given(st.binary(), CUTS, st.sampled_from([b"base64", b"quoted-printable", b"binary"]))
def test_round_trip(octets: bytes, cuts: list[int], name: bytes) -> None:
    """What was encoded comes back."""
    encode = {b"base64": base64.encodebytes, b"quoted-printable": quopri.encodestring}
    coded = encode.get(name, bytes)(octets).replace(b"\n", b"\r\n" if name[:1] == b"b" else b"\n")
    expected = octets if name != b"binary" else coded
    assert decoded(name, coded, cuts) == expected


def test_endless_line() -> None:
    """A line without end is not held; escapes in it are not torn."""
    decoding = DECODINGS[b"quoted-printable"]()
    text = b"=41" * LINE
    found = b"".join(decoding.feed(text[n : n + 1]) for n in range(len(text)))
    assert len(found) > LINE - 400
    assert found + decoding.close() == b"A" * LINE


@pytest.mark.parametrize("name", DECODINGS)
def test_nothing(name: bytes) -> None:
    """An empty body is empty."""
    assert DECODINGS[name]().close() == b""
