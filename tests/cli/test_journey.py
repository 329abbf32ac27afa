"""mailhub journey, over real journeys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Accepted, Event, Fated, State, Tried
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.journeys import Journeys
from tests.cli.conftest import Mailhub

RULE = "[queue] delays (default)"


def noted(state: Path, queue_id: QueueId, *events: Event) -> QueueId:
    with closing(Journeys(str(state), now=time.time())) as journeys:
        journeys.write({queue_id: list(events)})
    return queue_id


def taken(ago: float, to: str = "bob@far.example") -> Accepted:
    at = time.time() - ago
    return Accepted(
        *(at, at, "ann@hub.example", (to,), 10, "192.0.2.1", "laptop", "ESMTPSA"),
        *("TLSv1.3 X", "ann@hub.example", f"<{to}>", "Hi"),
    )


def new_id(ago: float) -> QueueId:
    return to_queue_id(number_at(time.time() - ago))


@pytest.fixture
def sent(state: Path) -> QueueId:
    at = time.time() - 60
    tried = Tried(
        *(at, at + 0.5, (0,), "mx.far.example", "192.0.2.9", 25, "TLSv1.3 X", "verified", False),
        *("rcpt", "451 4.7.1 Greylisted", False, (">>> RCPT TO:<bob@far.example>",)),
    )
    later = Fated(at, (0,), State.DEFERRED, "451 Greylisted", "mx.far.example", at + 300, RULE)
    return noted(state, new_id(60), taken(60), tried, later)


def test_timeline(mailhub: Mailhub, state: Path, sent: QueueId) -> None:
    """Everything that happened, with the dialogue, the decision and its line."""
    said = mailhub("--state", str(state), "journey", sent)
    assert said.status == 0
    first, *_ = said.out.splitlines()
    assert first.startswith(f"{sent}  from <ann@hub.example> to <bob@far.example>")
    assert first.endswith("delayed")
    for words in (
        "accepted   from laptop [192.0.2.1] with ESMTPSA as ann@hub.example, TLSv1.3 X",
        "tried      mx.far.example [192.0.2.9]:25, TLSv1.3 X, certificate verified",
        ">>> RCPT TO:<bob@far.example>",
        "deferred   <bob@far.example>, next attempt",
        f"by {RULE}",
    ):
        assert words in said.out


def test_json(mailhub: Mailhub, state: Path, sent: QueueId) -> None:
    """A program gets every field."""
    [told] = mailhub("--state", str(state), "journey", sent, "--json").json
    assert (told["id"], told["state"], told["ended"]) == (sent, "delayed", False)
    assert [event["event"] for event in told["events"]] == ["accepted", "tried", "fated"]


def test_found(mailhub: Mailhub, state: Path, sent: QueueId) -> None:
    """By sender, recipient, Message-ID, account and age; the latest last."""
    other = noted(state, new_id(3000), taken(3000, "eve@far.example"))

    def ids(*options: str) -> list[str]:
        found = mailhub("--state", str(state), "journey", "--json", *options).json
        return [each["id"] for each in found]

    assert ids("--from", "ann@hub.example") == [other, sent]
    assert ids("--from", "ann@hub.example", "--to", "eve@far.example") == [other]
    assert ids("--from", "ann@hub.example", "--since", "10m") == [sent]
    assert ids("--message-id", "bob@far.example") == [sent]
    assert ids("--account", "ann@hub.example", "--limit", "1") == [sent]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("d21m6d8nes8h",), 1, "nothing is known of d21m6d8nes8h"),
        (("nonsense",), 1, "'nonsense' is no queue id"),
        (("--to", "nobody@far.example"), 1, "no such message"),
        (("--to", "no address"), 1, "no address"),
        (("--since", "yesterday"), 2, "--since wants a duration"),
        ((), 2, "Which?"),
        (("d21m6d8nes8h", "--since", "1h"), 2, "needs nothing else"),
    ],
)
def test_mistakes(
    mailhub: Mailhub,
    state: Path,
    sent: QueueId,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    """One line says what is wrong."""
    assert sent
    said = mailhub("--state", str(state), "journey", *arguments)
    assert said.status == status
    assert words in said.err
    assert "Traceback" not in said.err


def test_nothing_yet(mailhub: Mailhub, state: Path) -> None:
    """A hub that has seen no mail knows nothing, and looking makes no database."""
    said = mailhub("--state", str(state), "journey", "--since", "1h")
    assert (said.status, said.err) == (1, "mailhub: nothing is known of any mail yet\n")
    assert not (state / "journeys.db").exists()


def during(monkeypatch: pytest.MonkeyPatch, *happening: Callable[[], object]) -> None:
    """While the command waits, let these happen, and at last be interrupted."""
    left = list(happening)

    def sleep(_seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(time, "sleep", sleep)


def test_followed_to_its_end(
    mailhub: Mailhub, state: Path, sent: QueueId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens to a message is shown as it is written, until it has ended."""
    done = Fated(time.time(), (0,), State.RELAYED, "250 2.0.0 Ok", "mx.far.example")
    during(monkeypatch, lambda: None, lambda: noted(state, sent, done))
    said = mailhub("--state", str(state), "journey", sent, "--follow")
    assert said.status == 0
    assert said.out.splitlines()[-1].endswith(
        "relayed    <bob@far.example>: mx.far.example said 250 2.0.0 Ok"
    )


def test_everything_followed(
    mailhub: Mailhub, state: Path, sent: QueueId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a choice all mail is shown as it comes, for a program line by line."""
    fresh = new_id(0)
    done = Fated(time.time(), (0,), State.RELAYED)
    during(
        monkeypatch,
        lambda: noted(state, fresh, taken(0, "eve@far.example")),
        lambda: noted(state, fresh, done),
    )
    said = mailhub("--state", str(state), "journey", "--follow", "--json")
    assert said.status == 130
    begun, ended = map(json.loads, said.out.splitlines())
    assert (begun["id"], begun["state"]) == (fresh, "waiting")
    assert (ended["id"], ended["event"], ended["state"]) == (fresh, "fated", "relayed")
    assert sent not in said.out
