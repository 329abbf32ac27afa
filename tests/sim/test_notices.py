"""What providers write back."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message as Parsed

import pytest

from mailhub.sim.notices import bounce, complaint
from mailhub.sim.receiver import Message
from mailhub.sim.simulation import failures

SENT = Message(
    "192.0.2.1", "news@here.example", ["u1@far.example"], b"Subject: News\r\n\r\ntext\r\n"
)


def parts(octets: bytes) -> tuple[Parsed, list[Parsed]]:
    parsed = message_from_bytes(octets)
    payload = parsed.get_payload()
    assert isinstance(payload, list)
    return parsed, [part for part in payload if isinstance(part, Parsed)]


def test_a_bounce() -> None:
    """A bounce is a report that says of which recipient it is, and is read as one."""
    octets = bounce("mx.far.example", "u1@far.example", SENT, 1_772_431_200.0, 1.5)
    parsed, found = parts(octets)
    assert parsed["To"] == "<news@here.example>"
    assert [part.get_content_type() for part in found] == [
        *("text/plain", "message/delivery-status", "text/rfc822-headers"),
    ]
    assert list(failures(octets)) == ["u1@far.example"]
    assert b"Subject: News" in octets


def test_a_complaint() -> None:
    """A complaint says of which source and sender it is (RFC 5965 §3)."""
    octets = complaint("mx.far.example", "u1@far.example", SENT, 1_772_431_200.0, 1.5)
    parsed, found = parts(octets)
    assert parsed.get_param("report-type") == "feedback-report"
    fields = found[1].as_bytes()
    assert b"Feedback-Type: abuse" in fields
    assert b"Source-IP: 192.0.2.1" in fields
    assert list(failures(octets)) == []


@pytest.mark.parametrize("make", [bounce, complaint])
def test_line_ends(make: object) -> None:
    """Lines end in CR LF, and none begins with a dot."""
    assert callable(make)
    octets = make("mx.far.example", "u1@far.example", SENT, 1_772_431_200.0, 1.5)
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert b"\r\n." not in octets
