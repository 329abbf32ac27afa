"""mailhub queue, over a real spool."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from mailhub.cli import queue
from mailhub.mail.address import parse_path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Reply
from mailhub.policy.retry import Schedule
from mailhub.ports.outgoing import Attempt, QueueId
from mailhub.queue.change import Accept, Settle
from mailhub.queue.event import Fated, State
from mailhub.queue.ids import to_queue_id
from mailhub.queue.item import Answer, Item, Origin, attempted, new_item
from mailhub.queue.journey import Attempted
from mailhub.queue.journeys import Journeys
from mailhub.queue.spool import Spool
from tests.cli.conftest import Mailhub

REPLY = Reply(451, "7.1", ("Greylisted",))


def stored(state: Path, number: int, sender: str, *recipients: str, tries: int = 0) -> QueueId:
    """Put a message into the spool, with so many failed attempts."""
    now = time.time()
    queue_id = to_queue_id(number)
    envelope = Envelope(parse_path(sender), tuple(Recipient(parse_path(it)) for it in recipients))
    origin = Origin("192.0.2.1", "client", "ESMTPSA", "ann@hub.example")
    item = new_item(queue_id, now - 7200, envelope, [None] * len(recipients), 5, origin)
    with closing(Spool(str(state / "spool"))) as spool:
        spool.apply([Accept(item, b"body\n")])
        for _ in range(tries):
            after = attempted(item, {0: Answer(REPLY, "mx.example")}, now, Schedule())
            spool.apply([Settle(item, after, (Attempted((0,), _attempt(now)),))])
            item = after
    return queue_id


def _attempt(now: float) -> Attempt:
    return Attempt(
        now - 1, now, "mx.example", "192.0.2.9", 25, "TLSv1.3 X", "verified", False, "rcpt", REPLY
    )


def loaded(state: Path, queue_id: QueueId) -> Item | None:
    with closing(Spool(str(state / "spool"))) as spool:
        return spool.load(queue_id)


@pytest.fixture
def three(state: Path) -> list[QueueId]:
    return [
        stored(state, 1 << 20, "ann@hub.example", "bob@far.example", "eve@other.example", tries=1),
        stored(state, 2 << 20, "bob@hub.example", "bob@far.example"),
        stored(state, 3 << 20, "", "ann@far.example"),
    ]


def test_empty(mailhub: Mailhub, state: Path) -> None:
    """An empty queue is said to be so."""
    assert mailhub("--state", str(state), "queue", "list").out == "the queue is empty\n"
    assert mailhub("--state", str(state), "queue", "list", "--json").json == []


def test_list(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """Messages are listed with sender, recipients, state and the last reply."""
    said = mailhub("--state", str(state), "queue", "list")
    first = next(line for line in said.out.splitlines() if three[0] in line)
    for text in ("2h", "ann@hub.example", "bob@far.example and 1 more", "451 4.7.1 Greylisted"):
        assert text in first
    rows = mailhub("--state", str(state), "queue", "list", "--json").json
    assert [row["id"] for row in rows] == three
    assert rows[0]["recipients"][0]["attempts"] == 1
    assert rows[0]["origin"]["account"] == "ann@hub.example"
    assert rows[2]["sender"] == ""


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--from", "ann@hub.example"), [0]),
        (("--from", ""), [2]),
        (("--from-domain", "hub.example"), [0, 1]),
        (("--to", "bob@far.example"), [0, 1]),
        (("--domain", "other.example"), [0]),
        (("--held",), []),
        (("--limit", "2"), [0, 1]),
        (("--limit", "0"), [0, 1, 2]),
    ],
)
def test_choices(
    mailhub: Mailhub,
    state: Path,
    three: list[QueueId],
    arguments: tuple[str, ...],
    found: list[int],
) -> None:
    """Messages can be chosen by sender, recipient and domain."""
    said = mailhub("--state", str(state), "queue", "list", "--json", *arguments)
    assert [row["id"] for row in json.loads(said.out)] == [three[it] for it in found]
    assert ("and more" in said.err) == ("2" in arguments)


def test_pages(
    mailhub: Mailhub, state: Path, three: list[QueueId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long queue is loaded page by page, whole."""
    monkeypatch.setattr(queue, "PAGE", 1)
    rows = mailhub("--state", str(state), "queue", "list", "--json").json
    assert [row["id"] for row in rows] == three


def test_show(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """A message is shown with its recipients and each attempt, for people and programs."""
    out = mailhub("--state", str(state), "queue", "show", three[0]).out
    for text in (
        "from <ann@hub.example>",
        "handed in by client [192.0.2.1] (ESMTPSA), logged in as ann@hub.example",
        "1. <bob@far.example>  pending, 1 failed, next ",
        "2. <eve@other.example>  pending, 0 failed, next now",
        "mx.example [192.0.2.9]:25  for 1",
        "rcpt, TLSv1.3 X verified, 1.0s: 451 4.7.1 Greylisted",
    ):
        assert text in out
    row = mailhub("--state", str(state), "queue", "show", three[0], "--json").json
    assert row["attempts"][0]["host"] == "mx.example"
    assert row["recipients"][1]["address"] == "eve@other.example"


def test_show_left(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """Of a message that has left, journeys tell; of an unknown one, too, there is nothing here."""
    at = ("--state", str(state), "queue")
    mailhub(*at, "drop", three[0])
    for number in (three[0], to_queue_id(9)):
        said = mailhub(*at, "show", number)
        words = f"{number} is not in the queue; `mailhub journey {number}` may know of it"
        assert (said.status, said.err) == (1, f"mailhub: {words}\n")


def test_hold_and_release(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """Held messages stay until they are released, with the reason."""
    at = ("--state", str(state), "queue")
    said = mailhub(*at, "hold", "--domain", "far.example", "--why", "until Monday")
    assert said.out == "3 recipients on hold\n"
    rows = mailhub(*at, "list", "--json", "--held").json
    assert rows[0]["recipients"][0]["why"] == "until Monday"
    out = mailhub(*at, "list").out
    assert "part held" in out
    assert "held: until Monday  (451 4.7.1 Greylisted)" in mailhub(*at, "show", three[0]).out
    assert mailhub(*at, "release", three[1]).out == "1 recipient released\n"
    assert mailhub(*at, "release", "--all").out == "2 recipients released\n"


def test_flush(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """What was to wait is due now."""
    assert mailhub("--state", str(state), "queue", "flush", "--all").out == (
        "1 recipient to be attempted now\n"
    )
    item = loaded(state, three[0])
    assert item is not None
    assert max(getattr(fate, "due", 0) for fate in item.fates) <= time.time()


def test_drop(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """Dropped messages are gone; the whole queue only if one is sure."""
    at = ("--state", str(state), "queue", "drop")
    assert mailhub(*at, three[1]).out == "1 recipient dropped\n"
    assert loaded(state, three[1]) is None
    said = mailhub(*at, three[1])
    assert (said.status, said.out) == (1, "0 recipients dropped\n")
    assert mailhub(*at, "--all", stdin="n\n").status == 130
    assert mailhub(*at, "--all", "--yes").out == "3 recipients dropped\n"


def test_hub_is_told(
    mailhub: Mailhub, state: Path, three: list[QueueId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running hub is told of a change, and of nothing else."""
    told: list[str] = []
    monkeypatch.setattr(queue, "wake", told.append)
    at = ("--state", str(state), "queue")
    mailhub(*at, "list")
    mailhub(*at, "release", "--all")
    assert told == []
    mailhub(*at, "hold", three[0])
    assert told == [f"{state}/control"]


def test_content(
    state: Path, three: list[QueueId], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The message itself is printed as it was received."""
    from mailhub.cli.main import run  # noqa: PLC0415

    assert run(["--state", str(state), "queue", "show", three[0], "--content"]) == 0
    assert capfdbinary.readouterr().out == b"body\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("show", "nonsense"), 1, "'nonsense' is no queue id"),
        (("flush", "--all", "--domain", "far.example"), 2, "--all excludes"),
        (("flush",), 2, "Which?"),
        (("list", "--from", "nobody"), 1, "is not an address"),
    ],
)
def test_refused(
    mailhub: Mailhub, state: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    """Mistakes are told in words."""
    said = mailhub("--state", str(state), "queue", *arguments)
    assert said.status == status
    assert words in said.err


def test_reroute(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """Another way is kept with what waits; one that does not exist is refused."""
    at = ("--state", str(state), "queue")
    assert "sent another way" in mailhub(*at, "reroute", three[0], "--via", "direct").out
    item = loaded(state, three[0])
    assert item is not None
    assert {getattr(fate, "route", None) for fate in item.fates} == {"direct"}
    mailhub(*at, "reroute", three[0], "--via", "relay.example:25")
    refused = mailhub(*at, "reroute", three[0], "--via", "nonsense")
    assert refused.status != 0


def test_edit(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """Recipients are corrected, added and removed."""
    at = ("--state", str(state), "queue")
    item = loaded(state, three[0])
    assert item is not None
    old = str(item.envelope.recipients[0].path)
    edited = mailhub(
        *at, "edit", three[0], "--change", old, "new@far.example", "--add", "more@far.example"
    )
    assert "2 recipients changed" in edited.out
    now = loaded(state, three[0])
    assert now is not None
    assert str(now.envelope.recipients[0].path) == "new@far.example"
    assert str(now.envelope.recipients[-1].path) == "more@far.example"
    removed = mailhub(*at, "edit", three[0], "--remove", "more@far.example")
    assert "1 recipient changed" in removed.out
    assert mailhub(*at, "edit", three[0], "--change", "no@x.example", "y@x.example").status
    assert mailhub(*at, "edit", three[0]).status


def test_told_to_journeys(mailhub: Mailhub, state: Path, three: list[QueueId]) -> None:
    """What an operator does to a message stands in its journey, and in no other."""
    with closing(Journeys(str(state), now=time.time())) as journeys:
        mailhub("--state", str(state), "queue", "hold", three[0], "--why", "until Monday")
        mailhub("--state", str(state), "queue", "drop", three[0])
        [held, dropped] = [it for part in journeys.load(three[0]) for it in part.events]
        assert journeys.load(three[1]) == []
    assert isinstance(held, Fated)
    assert isinstance(dropped, Fated)
    assert (held.state, held.numbers, held.reply) == (State.HELD, (0, 1), "until Monday")
    assert dropped.state is State.CANCELLED
