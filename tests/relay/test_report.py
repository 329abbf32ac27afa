"""Notices as items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Notify, Recipient
from mailhub.mail.reply import Refusal
from mailhub.net.content import Octets
from mailhub.policy.cause import Cause
from mailhub.policy.retry import DAY, Schedule
from mailhub.policy.rule import Rule
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue.dsn import Limits
from mailhub.queue.event import Decided, Event
from mailhub.queue.item import Answer, Delivered, Expanded, Failed, Local, Pending, attempted
from mailhub.relay.report import Reporter
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, NO, OK, SENDER
from tests.rig import run
from tests.wording import LANGUAGES, other

HERE = Local(AccountId(7))
SCHEDULE = Schedule(jitter=0.0)
MESSAGE = Octets(b"Subject: hello\r\n\r\nHello\r\n")


class Unreadable(Octets):
    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        raise FileNotFoundError


async def expand(recipient: Recipient) -> Sequence[tuple[Recipient, Local | None]]:
    if recipient.path == CAROL:
        raise Refusal(550, "1.1", "No such user")
    return [(recipient, HERE if recipient.path == SENDER else None)]


@pytest.fixture
def reporter() -> Reporter:
    numbers = iter(range(100, 200))
    return Reporter(
        "hub.example",
        lambda: make.queue_id(next(numbers)),
        lambda: 5000.0,
        lambda bits: bits,
        expand,
        lambda item, place: SCHEDULE,
        LANGUAGES,
        other,
    )


def test_a_failure(reporter: Reporter) -> None:
    """The notice of a failure is an item from the null reverse-path to the sender."""
    before = make.item(BOB, content=MESSAGE.octets)
    after = attempted(before, {0: Answer(NO)}, 1001.0, SCHEDULE)
    [accept] = run(reporter.reports(before, after, MESSAGE))
    item = accept.item
    assert item.queue_id == make.queue_id(100)
    assert item.envelope.reverse_path == NULL
    assert item.envelope.recipients == (Recipient(SENDER),)
    assert item.places == (HERE,)
    assert item.fates == (Pending(5000.0),)
    assert accept.content is not None
    assert item.size == len(accept.content)
    assert b"Message-ID: <" + item.queue_id.encode() + b"@hub.example>" in accept.content
    assert MESSAGE.octets in accept.content


def test_what_stood_behind_it(reporter: Reporter) -> None:
    """A notice of the end says what is behind it as the attempt knew it, and not as words do."""
    before = make.item(BOB, content=MESSAGE.octets)
    lost = Answer(LATER, cause=Cause.IN_DOUBT)
    after = attempted(before, {0: lost}, 1000.0 + 10 * DAY, replace(SCHEDULE, least=1))
    assert isinstance(after.fates[0], Failed)
    [accept] = run(reporter.reports(before, after, MESSAGE))
    assert accept.content is not None
    assert b"may have arrived all the same" in b" ".join(accept.content.split())


def test_obeys(reporter: Reporter) -> None:
    """Another size of what goes back, and another helper, count for the next notice."""
    before = make.item(BOB, content=MESSAGE.octets)
    after = attempted(before, {0: Answer(NO)}, 1001.0, SCHEDULE)
    [accept] = run(reporter.reports(before, after, MESSAGE))
    assert accept.content is not None
    assert b"For help" not in accept.content
    assert b"Hello" in accept.content
    reporter.obey(LANGUAGES, Limits(message=0), Path("help", "hub.example"))
    [accept] = run(reporter.reports(before, after, MESSAGE))
    assert accept.content is not None
    assert b"For help, write to <help@hub.example>" in accept.content
    assert b"\r\nHello\r\n" not in accept.content


def test_nothing_to_tell(reporter: Reporter) -> None:
    """Where nothing has happened, or nobody is to be told, there is no notice."""
    before = make.item(BOB)
    assert run(reporter.reports(before, before, MESSAGE)) == []
    null = make.item(BOB, sender=NULL)
    after = attempted(null, {0: Answer(NO)}, 1001.0, SCHEDULE)
    assert run(reporter.reports(null, after, MESSAGE)) == []


class Told:
    """A `Recorder` that remembers what was decided."""

    def __init__(self) -> None:
        self.decided: list[tuple[str, tuple[int, ...], str, str]] = []

    def note(self, queue_id: QueueId, *events: Event) -> None:
        for event in events:
            assert isinstance(event, Decided)
            [(what, rule)] = event.verdicts
            self.decided.append((queue_id, event.numbers, what, rule))

    def rule(self, rule: Rule | None) -> str:
        return str(rule)


@pytest.fixture
def told(reporter: Reporter) -> Told:
    reporter._recorder = recorder = Told()
    return recorder


RULE = "[queue] double bounces"


def test_a_lost_notice(reporter: Reporter, told: Told) -> None:
    """A notice that fails causes no other; log and journey have it, once, with who decided it."""
    heard: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        heard.append(formatEvent(event))

    before = make.item(BOB, CAROL, sender=NULL)
    failed = attempted(before, {0: Answer(NO)}, 1001.0, SCHEDULE)
    both = attempted(failed, {1: Answer(NO)}, 1002.0, SCHEDULE)
    globalLogPublisher.addObserver(observe)
    try:
        assert run(reporter.reports(before, failed, MESSAGE)) == []
        assert run(reporter.reports(failed, both, MESSAGE)) == []
        assert run(reporter.reports(both, both, MESSAGE)) == []
    finally:
        globalLogPublisher.removeObserver(observe)
    words = f"failed, nobody but the log is told: it is from <>: {NO.text}"
    assert heard == [f"{before.queue_id}: <{path}> {words}" for path in (BOB, CAROL)]
    what = "double bounce: nobody but the log is told: it is from <>"
    assert told.decided == [(before.queue_id, (place,), what, RULE) for place in (0, 1)]


def test_to_the_postmaster(reporter: Reporter, told: Told) -> None:
    """Where the operator wants it the postmaster gets what failed, and can see whom it was for."""
    reporter.obey(LANGUAGES, Limits(), None, SENDER)
    before = make.item(BOB, sender=NULL, content=MESSAGE.octets)
    after = attempted(before, {0: Answer(NO, "mx.remote.example")}, 1001.0, SCHEDULE)
    [accept] = run(reporter.reports(before, after, MESSAGE))
    envelope = accept.item.envelope
    assert (envelope.reverse_path, envelope.recipients) == (NULL, (Recipient(SENDER),))
    assert accept.item.places == (HERE,)
    assert accept.content is not None
    for words in (
        f"To: <{SENDER}>\r\n",
        f"Subject: Not delivered, and nobody told: {BOB}\r\n",
        "This could not be delivered, and nobody could be told",
        f"Final-Recipient: rfc822; {BOB}\r\n",
        "mx.remote.example said:",
        MESSAGE.octets.decode(),
    ):
        assert words.encode() in accept.content
    assert b"What you can do" not in accept.content
    what = f"double bounce: <{SENDER}> is told instead of a sender: it is from <>"
    assert told.decided == [(before.queue_id, (0,), what, RULE)]


def test_a_sender_who_takes_nothing(reporter: Reporter, told: Told) -> None:
    """A sender to whom nothing can be sent is as good as none; his delays are told to nobody."""
    before = make.item(BOB, DAVE, sender=CAROL, content=MESSAGE.octets)
    said = {0: Answer(NO), 1: Answer(LATER)}
    after = attempted(before, said, 1000.0 + SCHEDULE.warning, SCHEDULE)
    assert run(reporter.reports(before, after, MESSAGE)) == []
    reporter.obey(LANGUAGES, Limits(), None, SENDER)
    [accept] = run(reporter.reports(before, after, MESSAGE))
    assert accept.item.envelope.recipients == (Recipient(SENDER),)
    assert accept.content is not None
    assert b"Final-Recipient: rfc822; " + str(DAVE).encode() not in accept.content
    why = f"<{CAROL}> takes no notice: 550 5.1.1 No such user"
    assert [what for _, _, what, _ in told.decided] == [
        f"double bounce: nobody but the log is told: {why}",
        f"double bounce: <{SENDER}> is told instead of a sender: {why}",
    ]


def test_no_circle(reporter: Reporter, told: Told) -> None:
    """What fails on its way to the postmaster is not told to the postmaster."""
    reporter.obey(LANGUAGES, Limits(), None, DAVE)
    before = make.item(DAVE, BOB, sender=NULL, content=MESSAGE.octets)
    after = attempted(before, {0: Answer(NO), 1: Answer(NO)}, 1001.0, SCHEDULE)
    [accept] = run(reporter.reports(before, after, MESSAGE))
    assert accept.content is not None
    assert f"Final-Recipient: rfc822; {BOB}".encode() in accept.content
    assert f"Final-Recipient: rfc822; {DAVE}".encode() not in accept.content
    assert [numbers for _, numbers, _, _ in told.decided] == [(1,), (0,)]


def test_nor_a_postmaster(reporter: Reporter, told: Told) -> None:
    """Where the postmaster takes no mail either, the log is told."""
    reporter.obey(LANGUAGES, Limits(), None, CAROL)
    before = make.item(BOB, sender=NULL)
    after = attempted(before, {0: Answer(NO)}, 1001.0, SCHEDULE)
    assert run(reporter.reports(before, after, MESSAGE)) == []
    what = "double bounce: nobody but the log is told: it is from <>"
    assert told.decided == [(before.queue_id, (0,), what, RULE)]


def test_several(reporter: Reporter) -> None:
    """Failures, delays and successes are notices of their own, with ids of their own."""
    asked = [Recipient(path, Notify.SUCCESS | Notify.DELAY | Notify.FAILURE) for path in (BOB,) * 3]
    before = make.item(*asked, places={2: HERE})
    said = {0: Answer(NO), 1: Answer(LATER), 2: Answer(OK)}
    after = attempted(before, said, 1000.0 + SCHEDULE.warning, SCHEDULE)
    found = run(reporter.reports(before, after, MESSAGE))
    actions = [b"failed", b"delayed", b"delivered"]
    for accept, action in zip(found, actions, strict=True):
        assert accept.content is not None
        assert b"Action: " + action in accept.content
    assert len({accept.item.queue_id for accept in found}) == 3
    assert found[1].content is not None
    assert b"Will-Retry-Until: Tue, 6 Jan 1970" in found[1].content


def test_of_a_new_item(reporter: Reporter) -> None:
    """What an item arrives with can be reported with its acceptance."""
    item = make.item(Recipient(DAVE, Notify.SUCCESS), BOB)
    item = replace(item, fates=(Expanded(OK, 1.0), item.fates[1]))
    [accept] = run(reporter.reports(None, item, MESSAGE))
    assert accept.content is not None
    assert b"Action: expanded" in accept.content
    assert isinstance(accept.item.fates[0], Pending)
    assert not any(isinstance(fate, Delivered) for fate in accept.item.fates)


def test_unreadable_content(reporter: Reporter) -> None:
    """The sender is told even if the message can no longer be read."""
    before = make.item(BOB)
    after = attempted(before, {0: Answer(NO)}, 1001.0, SCHEDULE)
    [accept] = run(reporter.reports(before, after, Unreadable(b"x" * 17)))
    assert accept.content is not None
    assert b"Action: failed" in accept.content


@pytest.mark.parametrize(
    ("field", "language"),
    [
        (b"", "en"),
        (b"Accept-Language: vi-VN, en-US;q=0.5\r\n", "vi"),
        (b"Content-Language: vi\r\n", "vi"),
        (b"Accept-Language: fr\r\n", "en"),
        (b"Accept-Language: \xff\xff\r\n", "en"),
    ],
)
def test_languages(field: bytes, language: str) -> None:
    """A notice is in the language that the message's sender reads."""
    assert LANGUAGES.of(field + b"Subject: x\r\n\r\nAccept-Language: vi\r\n").language == language
