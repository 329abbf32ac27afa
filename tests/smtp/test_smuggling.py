"""Through both halves of us: octets that a client sends, and what the host behind us makes of them.

A host that takes anything for a line end must still see one message for each
that we have accepted, whatever was meant to look like an end of data.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.smtp.session import Site
from mailhub.smtp.stuffing import Stuffer
from tests.smtp.test_session import OPENING, SITE, Talk

EVIL = b"MAIL FROM:<x@y.example>\r\nRCPT TO:<ann@hub.example>\r\nDATA\r\n\r\nsmuggled\r\n"
ENDS = [
    *(b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n"),
    *(b"\r\r\n.\r\r\n", b"\n\n.\n\n", b"\r\n\r.\r\n", b"\n.\r\r\n", b"\r\n.\r\r\n", b"\n\r.\n\r"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n..\r\n", b"\r\n .\r\n", b"\r\n. \r\n", b"\x0b.\x0b"),
    *("\x85.\x85".encode(), "\u2028.\u2028".encode(), b"\x85.\x85", b"\r\n.\r\n"),
]
TRUSTED = replace(SITE, normalise=(ipaddress.ip_network("192.0.2.0/24"),))
SITES = pytest.mark.parametrize("site", [SITE, TRUSTED])


def relayed(content: bytes) -> bytes:
    """What our client sends behind DATA."""
    stuffer = Stuffer()
    return stuffer.stuff(content) + stuffer.finish()


def check(talk: Talk) -> None:
    """The host behind us finds each accepted message's end at its end, and nowhere else."""
    for content in talk.intake.contents:
        *lines, end, nothing = re.split(rb"\r\n|\r|\n", relayed(content))
        assert b"." not in lines
        assert (end, nothing) == (b".", b"")


@SITES
@pytest.mark.parametrize("end", ENDS)
def test_known(site: Site, end: bytes) -> None:
    """No known variant is taken for the end, and none gets through to be taken for it."""
    talk = Talk(site=site)
    talk.say(OPENING + b"DATA\r\n")
    codes = talk.codes(b"Subject: x\r\n\r\nhello" + end + EVIL + b".\r\n")
    if end == b"\r\n.\r\n":  # the true end: what follows is a client's next message
        assert codes == ["250", "250", "250", "354", "250"]
    else:
        assert codes in (["250"], ["550"])
        assert codes == ["250"] or site is SITE
    assert len(talk.intake.contents) == codes.count("250") - 2 * codes.count("354")
    check(talk)


@SITES
@given(data=st.data())
def test_any(site: Site, data: st.DataObject) -> None:
    """Nor does any other, however it arrives."""
    alphabet = st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"\0", b"x", b"\r\n.", b"NOOP\r\n"])
    octets = b"".join(data.draw(st.lists(alphabet, max_size=12))) + b"\r\n.\r\n"
    cut = data.draw(st.integers(0, len(octets)))
    talk = Talk(site=site)
    talk.say(OPENING + b"DATA\r\n")
    talk.say(octets[:cut])
    talk.say(octets[cut:])
    check(talk)
