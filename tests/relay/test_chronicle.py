"""What journeys are told when something happens in the queue."""

from __future__ import annotations

from dataclasses import replace

from mailhub.mail.address import parse_address
from mailhub.mail.envelope import Envelope, Notify, Recipient
from mailhub.mail.reply import Reply
from mailhub.policy.retry import Schedule
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.outgoing import Attempt, Lookup, QueueId
from mailhub.queue.change import Accept
from mailhub.queue.event import (
    Accepted,
    Decided,
    Event,
    Fated,
    Filed,
    Looked,
    Reported,
    State,
    Tried,
)
from mailhub.queue.item import Answer, Cancelled, Held, Item, Origin, Pending, attempted, new_item
from mailhub.relay import chronicle

SCHEDULE = Schedule(delays=(60.0,), factor=2.0, maximum=200.0, lifetime=1000.0, warning=500.0)
LATER = Reply(450, "2.0", ("Later",))


class Told:
    """A `Recorder` that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[QueueId, Event]] = []

    def note(self, queue_id: QueueId, *events: Event) -> None:
        self.events += [(queue_id, event) for event in events]

    def rule(self, rule: Rule | None) -> str:
        return "" if rule is None else str(rule)


def item(*to: str) -> Item:
    recipients = tuple(Recipient(parse_address(each), Notify.FAILURE) for each in to)
    envelope = Envelope(parse_address("a@hub.example"), recipients)
    origin = Origin("192.0.2.7", "laptop", "ESMTPSA", "a@hub.example")
    return new_item(QueueId("d21m6d8nes8h"), 0.0, envelope, (None,) * len(recipients), 10, origin)


def fates(before: Item, after: Item) -> list[Fated]:
    told = Told()
    chronicle.fated(told, before, after, 5.0, SCHEDULE)
    return [event for _, event in told.events if isinstance(event, Fated)]


def test_accepted() -> None:
    """The beginning tells who handed it in, and what was decided."""
    verdicts = chronicle.verdict_texts(
        Told(), [Verdict("relayed", Rule("smtp", "trusted networks")), Verdict("local")]
    )
    event = chronicle.accepted(
        item("b@far.example"), 1.5, tls="TLSv1.3", message_id="<1>", verdicts=verdicts
    )
    assert event == Accepted(
        *(0.0, 1.5, "a@hub.example", ("b@far.example",), 10, "192.0.2.7", "laptop", "ESMTPSA"),
        *("TLSv1.3", "a@hub.example", "<1>"),
        verdicts=(("relayed", "[smtp] trusted networks"), ("local", "")),
    )


def test_attempted() -> None:
    """Why, what was looked up, and each connection, for the recipients concerned."""
    told = Told()
    attempt = Attempt(*(2.0, 3.0, "mx", "192.0.2.1", 25, "", "", False, "rcpt"), LATER)
    chronicle.attempted(
        told,
        item("b@far.example"),
        (0,),
        1.0,
        [Verdict("TLS: none", Rule("relay", "tls"))],
        [Lookup(1.0, 2.0, "MX far.example", "10 mx")],
        [attempt],
    )
    assert [event for _, event in told.events] == [
        Decided(1.0, (0,), (("TLS: none", "[relay] tls"),)),
        Looked(1.0, 2.0, "MX far.example", "10 mx"),
        Tried(*(2.0, 3.0, (0,), "mx", "192.0.2.1", 25, "", "", False, "rcpt", "450 4.2.0 Later")),
    ]


def test_deferred_and_why() -> None:
    """A deferral tells the moment, and the key that made it so."""
    before = item("b@far.example", "c@far.example")
    answers = {n: Answer(LATER, "mx") for n in (0, 1)}
    after = attempted(before, answers, 5.0, SCHEDULE)
    assert fates(before, after) == [
        Fated(5.0, (0, 1), State.DEFERRED, "450 4.2.0 Later", "mx", 65.0, "[queue] delays")
    ]
    rules = []
    for now in (65.0, 185.0, 385.0, 500.0, 700.0, 900.0):
        before, after = after, attempted(after, answers, now, SCHEDULE)
        rules += [event.rule for event in fates(before, after)]
    assert rules == [
        "[queue] factor",
        "[queue] longest delay",
        "[queue] delay warning",
        "[queue] longest delay",
        "[queue] longest delay",
        "[queue] lifetime",
    ]
    [end] = fates(after, attempted(after, answers, 1000.0, SCHEDULE))
    assert (end.state, end.rule) == (State.EXPIRED, "[queue] lifetime")


def test_ends() -> None:
    """Each fate is told with the words that decided it; the same fate once for all."""
    before = item("b@far.example", "c@far.example", "d@far.example")
    after = attempted(
        before,
        {0: Answer(Reply(250, "0.0", ("Ok",)), "mx"), 1: Answer(Reply(550, "1.1", ("No",)), "mx")},
        5.0,
        SCHEDULE,
    )
    relayed, failed = fates(before, after)
    assert (relayed.state, relayed.numbers, relayed.reply) == (State.RELAYED, (0,), "250 2.0.0 Ok")
    assert (failed.state, failed.numbers, failed.host) == (State.FAILED, (1,), "mx")
    held = replace(
        before, fates=(Held(Pending(0.0), "by the operator"), Cancelled(5.0), *before.fates[2:])
    )
    first, second = fates(before, held)
    assert (first.state, first.reply) == (State.HELD, "by the operator")
    assert second.state is State.CANCELLED
    assert fates(before, before) == []


def test_filed() -> None:
    """Local delivery tells account, mailbox and UID."""
    told = Told()
    bob = Account(AccountId(2), parse_address("bob@hub.example"), "bob")
    chronicle.filed(told, item("bob@hub.example"), 3.0, [(0, bob, "INBOX", 9)])
    assert told.events == [(QueueId("d21m6d8nes8h"), Filed(3.0, 0, "bob@hub.example", "INBOX", 9))]


def test_reported() -> None:
    """A notice is told in the journey of what it is about, and begins its own."""
    told = Told()
    before = item("b@far.example")
    after = attempted(before, {0: Answer(Reply(550, "1.1", ("No",)), "mx")}, 5.0, SCHEDULE)
    notice = replace(item("a@hub.example"), queue_id=QueueId("d21m6d8pzzyc"), origin=Origin())
    chronicle.reported(told, before, after, [Accept(notice, b"")], 6.0)
    (about, first), (its, second) = told.events
    assert (about, first) == (after.queue_id, Reported(6.0, (0,), "failed", "d21m6d8pzzyc"))
    assert its == "d21m6d8pzzyc"
    assert isinstance(second, Accepted)
    assert second.about == after.queue_id
    chronicle.reported(told, before, after, [], 6.0)
    assert len(told.events) == 2
