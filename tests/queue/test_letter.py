"""Journeys as messages."""

from __future__ import annotations

from email import message_from_bytes, policy

from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Accepted, Decided, Event, Fated, State
from mailhub.queue.letter import LINES, LISTED, letter

QUEUE_ID = QueueId("d21m6d8nes8h")
TAKEN = Accepted(
    *(1_800_000_000.0, 1_800_000_000.1, "a@hub.example", ("b@far.example", "c@near.example"), 4096),
    *("192.0.2.7", "laptop", "ESMTPSA", "TLSv1.3 X", "a@hub.example", "<1@hub.example>"),
    "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
)
LATER = Fated(
    1_800_000_010.0,
    (0,),
    State.DEFERRED,
    "450 4.2.0 Später",
    "mx",
    1_800_000_070.0,
    "[queue] delays",
)


def written(*events: Event) -> bytes:
    return letter(QUEUE_ID, events, "hub.example", 7)


def read(*events: Event) -> tuple[dict[str, str], str]:
    message = message_from_bytes(written(*events), policy=policy.default)
    return dict(message.items()), message.get_content()


def test_the_head() -> None:
    """The subject says state and recipients; programs thread it with what was sent."""
    fields, _ = read(TAKEN, LATER)
    assert fields["Subject"] == "Delayed: b@far.example, c@near.example: Grüße"
    assert fields["References"] == fields["In-Reply-To"] == "<1@hub.example>"
    assert fields["Message-ID"] == "<d21m6d8nes8h.7@hub.example>"
    assert fields["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert fields["Auto-Submitted"] == "auto-generated"


def test_the_text() -> None:
    """Each recipient's state, what the sender can do, and the story without operators' lines."""
    _, text = read(
        TAKEN, LATER, Decided(1_800_000_011.0, (), (("TLS: none", "[relay] tls (/etc/x:1)"),))
    )
    assert text.startswith(
        "Delayed. Queue id d21m6d8nes8h, 4096 octets, sent 15 Jan 2027 08:00:00."
    )
    assert "<b@far.example>: delayed, next attempt 15 Jan 2027 08:01:10: 450 4.2.0 Später" in text
    assert "<c@near.example>: to be sent now" in text
    assert "move this message to Drafts" in text
    assert "15 Jan 2027 08:00:11  decided: TLS: none" in text
    assert "[queue]" not in text
    assert "/etc" not in text


def test_the_end() -> None:
    """Where nothing can be cancelled any more nothing is said of it."""
    _, text = read(TAKEN, Fated(1_800_000_010.0, (0, 1), State.RELAYED, "250 Ok"))
    assert "<b@far.example>: relayed 15 Jan 2027 08:00:10: 250 Ok" in text
    assert "cancel" not in text


def test_the_same_octets() -> None:
    """What a UID names never changes: the same events give the same letter."""
    assert written(TAKEN, LATER) == written(TAKEN, LATER)


def test_lines() -> None:
    """A letter is what any client can read: CR LF, ASCII, no line over 78 octets in its body."""
    octets = written(TAKEN, LATER, Decided(1_800_000_011.0, (), (("ü" * 500 + " \udcff", ""),)))
    assert octets.isascii()
    assert b"\n" not in octets.replace(b"\r\n", b"")
    body = octets.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 78


def test_bounded() -> None:
    """A campaign's letter is no book."""
    many = Accepted(
        1.0, 1.0, "a@hub.example", tuple(f"{n}@far.example" for n in range(LISTED + 5)), 1
    )
    fates = [Fated(2.0 + n, (0,), State.DEFERRED) for n in range(LINES + 5)]
    fields, text = read(many, *fates)
    assert "and 202 more" in fields["Subject"]
    assert "... and 5 more." in text
    assert "earlier lines are left out)" in text
    assert text.count("\n") < 2 * LINES
