"""IMAP URLs that name messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.section import Section
from mailhub.imap.settings import Limits
from mailhub.imap.url import URL_LIMIT, Url, parse

LIMITS = Limits()


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 4469 §5, §3
        (
            b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
            Url("", "", "Drafts", 385759045, 20, Section(kind="HEADER"), None),
        ),
        (
            b"/Drafts;UIDVALIDITY=385759045/;UID=30/;section=BODY",
            None,
        ),
        (
            b"imap://ann@hub.example/INBOX/;uid=20/;section=1.2;urlauth=submit+ann",
            Url(
                "ann", "hub.example", "INBOX", 0, 20, Section((1, 2)), None, b";urlauth=submit+ann"
            ),
        ),
        # RFC 5092 §9
        (
            b"imap://michael@example.org/INBOX/Sub;UIDVALIDITY=2/;UID=7/;PARTIAL=0.1024",
            Url("michael", "example.org", "INBOX/Sub", 2, 7, Section(), (0, 1024)),
        ),
        (
            b"imap://;AUTH=*@minbari.example:143/gray%20council;UIDVALIDITY=3/;UID=2",
            Url("", "minbari.example:143", "gray council", 3, 2, Section(), None),
        ),
        (b";UID=9", Url("", "", None, 0, 9, Section(), None)),
        (b"/;UID=9", Url("", "", None, 0, 9, Section(), None)),
        (b"/Entw%C3%BCrfe/;UID=9", Url("", "", "Entwürfe", 0, 9, Section(), None)),
        (
            b"/x/;UID=9/;SECTION=1.HEADER.FIELDS%20(To)",
            Url("", "", "x", 0, 9, Section((1,), "HEADER.FIELDS", (b"To",)), None),
        ),
        (b"/x/;UID=9/;PARTIAL=5", Url("", "", "x", 0, 9, Section(), (5, 1 << 62))),
        (b"/x", None),
        (b"/x/;UID=0", None),
        (b"/%ff/;UID=1", None),
        (b"http://h/x/;UID=1", None),
        (b"imap://h/;UID=1", None),
        (b"/" + b"x" * URL_LIMIT + b"/;UID=1", None),
    ],
)
def test_urls(octets: bytes, expected: Url | None) -> None:
    """Absolute and relative ones, and what is none."""
    assert parse(octets, LIMITS) == expected


@given(
    st.lists(
        st.sampled_from(
            [b"/", b";UID=", b"1", b"x", b"imap://", b"@", b";SECTION=", b"%", b";PARTIAL=", b"."]
        )
    ).map(b"".join)
)
def test_anything(octets: bytes) -> None:
    """Whatever comes is a URL or none."""
    found = parse(octets, LIMITS)
    assert found is None or found.uid > 0
