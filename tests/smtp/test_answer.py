"""Replies as octets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.smtp.answer import encode, ready


def test_plain() -> None:
    """A reply of printable ASCII leaves as it is."""
    assert encode(Reply(250, "1.0", ("Ok",))) == ready(250, "1.0", "Ok") == b"250 2.1.0 Ok\r\n"


def test_utf8() -> None:
    """Non-ASCII leaves only to those who can read it (RFC 6531 §3.7.4.1)."""
    reply = Reply(550, "1.1", ("Kein Jürgen\x85\u202e",))
    assert encode(reply) == b"550 5.1.1 Kein J?rgen??\r\n"
    assert encode(reply, utf8=True) == "550 5.1.1 Kein Jürgen??\r\n".encode()


@given(st.lists(st.text(max_size=600), min_size=1, max_size=3), st.booleans())
def test_safe(lines: list[str], utf8: bool) -> None:
    """Whatever the texts, each is one line of under 512 octets (RFC 5321 §4.5.3.1.5)."""
    octets = encode(Reply(451, "3.0", tuple(lines)), utf8=utf8)
    assert octets.endswith(b"\r\n")
    found = octets[:-2].split(b"\r\n")
    assert len(found) == len(lines)
    assert all(len(line) < 510 and b"\r" not in line and b"\n" not in line for line in found)
