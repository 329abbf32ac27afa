"""What receivers take is what its recipients find."""

from __future__ import annotations

import pytest

from mailhub.lab.inboxes import _traced, _undotted
from mailhub.mail.address import parse_address
from mailhub.sim.receiver import Message


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"a\r\n..b\r\n", b"a\r\n.b\r\n"),
        (b"..a\r\n", b".a\r\n"),
        (b"..\r\n..\r\n", b".\r\n.\r\n"),
        (b"a..\r\n", b"a..\r\n"),
        (b"", b""),
    ],
)
def test_dots(sent: bytes, meant: bytes) -> None:
    """A dot that DATA put before a line is not part of it (RFC 5321 §4.5.2)."""
    assert _undotted(sent) == meant


def test_traced() -> None:
    """Inboxes show what final delivery adds, and who it was for."""
    message = Message("198.18.0.1", "a@b.test", ["c@d.test"], b"Subject: x\r\n\r\ny\r\n")
    lines = _traced("mx.d.test", parse_address("c@d.test"), message, 0.0).split(b"\r\n")
    assert lines[:2] == [b"Return-Path: <a@b.test>", b"Delivered-To: c@d.test"]
    assert lines[2] == b"Received: from [198.18.0.1] by mx.d.test with ESMTP"
    assert lines[4:] == [b"Subject: x", b"", b"y", b""]
