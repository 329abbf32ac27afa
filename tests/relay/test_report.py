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
from mailhub.ports.accounts import AccountId
from mailhub.queue.dsn import Limits
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


def test_a_lost_notice(reporter: Reporter) -> None:
    """A notice that fails causes no other; the log has it, once."""
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
    finally:
        globalLogPublisher.removeObserver(observe)
    words = f"failed, and there is nobody to tell: {NO.text}"
    assert heard == [f"{before.queue_id}: <{path}> {words}" for path in (BOB, CAROL)]


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


def test_a_sender_who_is_not_here(reporter: Reporter) -> None:
    """A notice to nobody is not made, and no notice is made of that."""
    before = make.item(BOB, sender=CAROL)
    after = attempted(before, {0: Answer(NO)}, 1001.0, SCHEDULE)
    assert run(reporter.reports(before, after, MESSAGE)) == []


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
