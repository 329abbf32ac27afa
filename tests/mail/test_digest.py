"""What an index keeps of a message."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.digest import ID_OCTETS, REFERENCES_LIMIT, dated, digest

MESSAGE = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <J.Doe@hub.example>, b@x\r\nTo: c@x\r\nTo: Dora <d@x>\r\n"
    b"Cc: Friends: a@x, b@x;\r\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n folded\r\n"
    b"Date: Mon, 13 Nov 2023 23:30:00 -0200\r\nMessage-ID: <\"1\"@x>\r\n"
    b"References: <a@x> junk <b@x>\r\n"
    b"In-Reply-To: <z@x>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=cut\r\n\r\n"
    b"--cut\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nsch\xf6n\r\n"
    b"--cut\r\nContent-Type: text/html\r\n\r\n<p>second <b>p</b>art</p>\r\n"
    b"--cut\r\nContent-Type: application/pdf; name=old.pdf\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''n%C3%A4me.pdf\r\n\r\nnot text\r\n"
    b"--cut\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body\r\n--cut--\r\n"
)  # fmt: skip


def test_fields() -> None:
    """Values decoded and folded, all of a name; first addresses; the base subject."""
    found = digest(MESSAGE)
    assert (found.sent, found.day) == (1699925400, 19674)
    assert (found.base, found.reply) == ("GRU\u0308ßE FOLDED", True)
    assert found.subject == "RE: GRU\u0308ßE FOLDED"
    assert (found.first_from, found.display_from) == ("J.DOE", "JU\u0308RGEN")
    assert (found.first_to, found.display_to) == ("C", "C@X")
    assert found.first_cc == "FRIENDS"
    assert found.recipient == "C@X\nDORA <D@X>"
    assert found.blind is None
    assert "\nIN-REPLY-TO: <Z@X>\n" in found.head


def test_odd_addresses() -> None:
    """An address that is oddly written is found as it is in an ENVELOPE (RFC 3501 §6.4.4)."""
    made = digest(
        b'From: <ann (here)@ (there) hub.example>\r\nTo: "Bob"@hub.example,\r\n'
        b" x (y) @z\r\nCc: ann@hub.example (Ann)\r\n\r\n"
    )
    found = [value and value.lower() for value in (made.sender, made.recipient, made.copied)]
    assert found == [
        "<ann (here)@ (there) hub.example>\nann@hub.example",
        '"bob"@hub.example, x (y) @z\nbob@hub.example\nx@z',
        "ann@hub.example (ann)",
    ]


def test_body() -> None:
    """Texts, what HTML says, attachments' names, messages within."""
    body = digest(MESSAGE).body
    for text in ("SCHO\u0308N", "SECOND PART", "NA\u0308ME.PDF", "SUBJECT: INNER", "INNER BODY"):
        assert text in body
    for text in ("NOT TEXT", "OLD.PDF", "<P>"):
        assert text not in body


def test_ids() -> None:
    """The quoting of an id is no part of it; References go before In-Reply-To (RFC 5256 §3)."""
    found = digest(MESSAGE).thread
    assert len(found) == 3 * ID_OCTETS
    assert digest(b"Message-ID: <1@x>\r\n\r\n").thread == found[:ID_OCTETS]
    assert digest(b"In-Reply-To: x <b@x> <c@x>\r\n\r\n").thread == (
        bytes(ID_OCTETS) + found[2 * ID_OCTETS :]
    )
    many = b"References: " + b" ".join(b"<%d@x>" % n for n in range(1000)) + b"\r\n\r\n"
    assert len(digest(many).thread) == (1 + REFERENCES_LIMIT) * ID_OCTETS


@pytest.mark.parametrize("piece", [b"@", b"a@", b"<a@", b"\\@"])
def test_time(piece: bytes) -> None:
    """Reading takes time in proportion to the length, whatever stands for message-ids."""
    began = time.process_time()
    digest(b"References: <" + piece * (200_000 // len(piece)) + b"\r\n\r\n")
    assert time.process_time() - began < 1.0


@given(st.binary(max_size=60))
def test_any(octets: bytes) -> None:
    """Nothing a stranger sends makes it raise."""
    found = digest(octets)
    (found.head + found.body).encode()


def test_dated() -> None:
    """A message without a date goes by when it came; one that has a date by that."""
    bare = dated(digest(b"Subject: x\r\n\r\n"), 2 * 86_400 + 7)
    assert (bare.sent, bare.day) == (2 * 86_400 + 7, 2)
    sent = digest(b"Date: Thu, 1 Jan 1970 23:30:00 -0100\r\n\r\n")
    assert dated(sent, 99) == sent
    assert (sent.sent, sent.day) == (88_200, 0)
