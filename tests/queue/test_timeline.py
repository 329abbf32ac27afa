"""Journeys as a person reads them."""

from __future__ import annotations

from mailhub.queue.event import (
    Accepted,
    Complained,
    Decided,
    Dismissed,
    Event,
    Fated,
    Filed,
    Looked,
    Reported,
    State,
    Tried,
)
from mailhub.queue.timeline import heading, lines, text

TAKEN = Accepted(
    *(1.0, 1.004, "a@hub.example", ("b@far.example", "c@near.example"), 4096),
    *("192.0.2.7", "laptop", "ESMTPSA", "TLSv1.3 X", "a@hub.example", "<1@hub.example>", "Hi"),
    verdicts=(
        ("sender: an address of a@hub.example", "[submission] own addresses only (default)"),
    ),
)
RULE = "[queue] delays (/etc/mailhub/mailhub.ini:12)"


def moment(at: float) -> str:
    return f"@{at:g}"


def told(*events: Event) -> list[str]:
    return list(text([TAKEN, *events], moment))[3:]


def test_the_beginning() -> None:
    """Who handed it in and how, and what was decided about it by which line."""
    assert list(text([TAKEN], moment)) == [
        (
            "@1  accepted: from laptop [192.0.2.7] with ESMTPSA as a@hub.example, TLSv1.3 X;"
            " 4096 octets, safe on disk after 4 ms"
        ),
        "    Message-ID: <1@hub.example>",
        "    sender: an address of a@hub.example (by [submission] own addresses only (default))",
    ]
    assert heading([TAKEN]) == (
        "from <a@hub.example> to <b@far.example>, <c@near.example>, 4096 octets"
    )
    assert heading([]) == ""


def test_an_attempt() -> None:
    """Host, address, TLS, certificate, what was said and how long it took."""
    event = Tried(
        *(2.0, 2.25, (0,), "mx.far.example", "192.0.2.1", 25, "TLSv1.3 X", "verified", False),
        *("rcpt", "450 4.2.0 Later", False, (">>> RCPT", "<<< 450")),
    )
    assert told(event) == [
        (
            "@2  tried: mx.far.example [192.0.2.1]:25, TLSv1.3 X, certificate verified,"
            " got as far as rcpt, 250 ms: 450 4.2.0 Later, for <b@far.example>"
        ),
        "    >>> RCPT",
        "    <<< 450",
    ]


def test_an_attempt_in_doubt() -> None:
    """A connection that was lost behind the content is told as what it is."""
    event = Tried(
        *(2.0, 9.0, (0, 1), "mx.far.example", "192.0.2.1", 25, "", "", True, "content"),
        *("451 4.4.2 Lost", True),
    )
    [line] = told(event)
    assert "in the clear, over an open connection" in line
    assert "it may have been accepted, 7.0 s: 451 4.4.2 Lost" in line


def test_whose_host() -> None:
    """A provider that is known is named, and the source that was chosen for it."""
    event = Tried(
        *(2.0, 2.0, (0, 1), "mx.google.com", "192.0.2.1", 25, "", "", False, "done", "250 Ok"),
        provider="google",
        source="second",
    )
    assert told(event) == [
        "@2  tried: mx.google.com [192.0.2.1]:25, of google, from second, in the clear: 250 Ok"
    ]


def test_no_connection() -> None:
    """Of a host that was not reached no TLS is told."""
    event = Tried(
        *(2.0, 2.0, (0, 1), "mx.far.example", "", 25, "", "", False, "connect", "451 4.4.1 Refused")
    )
    assert told(event) == ["@2  tried: mx.far.example:25, got as far as connect: 451 4.4.1 Refused"]


def test_fates() -> None:
    """A deferral says until when, why then, and whose words made it."""
    later = Fated(3.0, (0,), State.DEFERRED, "450 Later", "mx.far.example", 63.0, RULE)
    assert told(later) == [
        "@3  deferred: <b@far.example>, next attempt @63: mx.far.example said 450 Later",
        f"    by {RULE}",
    ]
    gone = Fated(4.0, (0, 1), State.FAILED, "550 5.1.10 No such domain")
    assert told(gone) == [
        "@4  failed: <b@far.example>, <c@near.example>: 550 5.1.10 No such domain"
    ]


def test_the_rest() -> None:
    """Lookups, decisions, mailboxes, notices, complaints: one line each."""
    assert told(
        Looked(2.0, 2.02, "MX far.example", "10 mx.far.example", authentic=True),
        Decided(2.5, (0, 1), (("route: far", ""), ("TLS: verified", "[route far] tls (x:3)"))),
        Filed(3.0, 1, "c@near.example", "INBOX", 17),
        Reported(4.0, (0,), "failed", "d21m6d8nes8h"),
        Complained(5.0, "far.example", "abuse", "b@far.example"),
        Dismissed(6.0, "a@hub.example"),
    ) == [
        "@2  looked up: MX far.example: 10 mx.far.example, authentic, 20 ms",
        "@2.5  decided: route: far",
        "    TLS: verified (by [route far] tls (x:3))",
        "@3  delivered: <c@near.example> into INBOX of c@near.example, UID 17",
        "@4  reported: <b@far.example> as failed, in d21m6d8nes8h",
        "@5  complaint: abuse of <b@far.example>, says far.example",
        "@6  dismissed: by a@hub.example",
    ]


def test_without_rules() -> None:
    """Those whom the operator's file is no business of are told no line of it."""
    plain = list(text([TAKEN, Decided(2.0, (), (("TLS: none", RULE),))], moment, rules=False))
    assert plain[2:] == ["    sender: an address of a@hub.example", "@2  decided: TLS: none"]


def test_order_of_time() -> None:
    """Events are told in the order in which they happened, however they were noted."""
    found = lines([TAKEN, Dismissed(9.0, "a"), Decided(2.0, (), (("x", ""),))], moment)
    assert [line.at for line in found] == [1.0, 2.0, 9.0]


def test_many_recipients() -> None:
    """Of many recipients the first are named, the others counted."""
    many = Accepted(1.0, 1.0, "", tuple(f"{n}@far.example" for n in range(9)), 1)
    assert "and 6 more" in heading([many])
    [line] = list(text([Fated(2.0, (7, 99), State.RELAYED)], moment))
    assert line == "@2  relayed: recipient 8, recipient 100"


def test_a_notice() -> None:
    """A notice of our own is told by what it is about."""
    [line] = text([Accepted(1.0, 1.0, "", ("a@hub.example",), 9, about="d21m6d8nes8h")], moment)
    assert line.startswith("@1  accepted: a notice about d21m6d8nes8h; 9 octets")
