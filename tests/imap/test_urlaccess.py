"""The end of a URL that says who may use it, and its signature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.urlaccess import Access, genuine, parse, signed

RUMP = b"imap://ann@hub.example/INBOX/;UID=1;URLAUTH=authuser"
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("rest", "access"),
    [
        (b";URLAUTH=anonymous", Access("anonymous", "", None, "", "", 0)),
        (b";urlauth=SUBMIT+ann%40x", Access("submit+", "ann@x", None, "", "", 0)),
        (
            b";EXPIRE=1970-01-01T00:01:00Z;URLAUTH=user+b:internal:" + b"A" * 32,
            Access("user+", "b", 60, "INTERNAL", "a" * 32, 42),
        ),
        (
            b";EXPIRE=1970-01-01T00:01:00%2B00:01;URLAUTH=authuser",
            Access("authuser", "", 0, "", "", 0),
        ),
    ],
)
def test_parse(rest: bytes, access: Access) -> None:
    """RFC 4467 §9, in any case, with what is percent-encoded."""
    assert parse(rest) == access


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b";URLAUTH=",
        b";URLAUTH=stranger",
        b";URLAUTH=user+",
        b";URLAUTH=user+%ff",
        b";URLAUTH=authuser+ann",
        b";URLAUTH=anonymous:INTERNAL",
        b";URLAUTH=anonymous:INTERNAL:" + b"a" * 31,
        b";URLAUTH=anonymous:INTERNAL:" + b"g" * 32,
        b";EXPIRE=2027-02-30T00:00:00Z;URLAUTH=anonymous",
        b";EXPIRE=tomorrow;URLAUTH=anonymous",
        b";URLAUTH=anonymous;EXPIRE=2027-01-01T00:00:00Z",
    ],
)
def test_no_access(rest: bytes) -> None:
    """What is not as the RFC has it lets nobody in."""
    assert parse(rest) is None


def test_signed() -> None:
    """Who has the key can tell what was signed with it, in whichever case the digits came."""
    url = signed(RUMP, KEY)
    for octets in (url, url[: len(RUMP)] + url[len(RUMP) :].upper()):
        access = parse(octets[octets.index(b";URLAUTH") :])
        assert access is not None
        assert genuine(octets, access, KEY)
        assert not genuine(octets, access, b"x" * 32)


@given(st.integers(0, len(RUMP) - 1), st.integers(1, 255))
def test_altered(place: int, change: int) -> None:
    """A URL of which one octet has been altered is not the one that was signed."""
    url = signed(RUMP, KEY)
    access = parse(url[url.index(b";URLAUTH") :])
    assert access is not None
    altered = bytes([url[place] ^ change])
    assert not genuine(url[:place] + altered + url[place + 1 :], access, KEY)
