"""Classes of mail: what belongs to which, how much it weighs, how long it is tried."""

from __future__ import annotations

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.header import Header
from mailhub.policy.cause import Cause
from mailhub.policy.queueclass import (
    BULK,
    NORMAL,
    NOTICE,
    SHIPPED,
    Classes,
    Facts,
    QueueClass,
    Schedules,
    classify,
    named,
    possible,
)
from mailhub.policy.retry import DAY, HOUR, MINUTE, Schedule, Wishes

SHOP = Path("shop", "hub.example")


def facts(
    block: bytes = b"Subject: x\r\n\r\n",
    sender: Path = SHOP,
    account: Path | None = SHOP,
    recipients: int = 1,
) -> Facts:
    return Facts(sender, account, recipients, Header(block))


@pytest.mark.parametrize(
    ("block", "name"),
    [
        (b"Precedence: bulk\r\n\r\n", BULK),
        (b"precedence:  LIST \r\n\r\n", BULK),
        (b"Precedence: first-class\r\n\r\n", NORMAL),
        (b"List-Unsubscribe: <mailto:x@y.example>\r\n\r\n", BULK),
        (b"Subject: Your new password\r\n\r\n", NORMAL),
    ],
)
def test_what_a_header_says(block: bytes, name: str) -> None:
    """Mail that says of itself that it goes to many is bulk."""
    assert classify(facts(block), SHIPPED) == name


class TestBeforeTheHeader:
    """What a message may turn out to be, while only its envelope is known."""

    def test_bulk_or_not(self) -> None:
        """The header decides whether it is bulk."""
        assert possible(facts(b""), SHIPPED) == [BULK, NORMAL]

    def test_certain(self) -> None:
        """Where the account alone decides, it is certain; nothing behind it counts."""
        own = QueueClass("shop", accounts=("shop@hub.example",))
        assert possible(facts(b""), (own, *SHIPPED)) == ["shop"]
        assert possible(facts(b"", sender=NULL, account=None), SHIPPED) == [NOTICE]

    def test_impossible(self) -> None:
        """What the envelope rules out is not possible."""
        other = QueueClass("other", accounts=("x@hub.example",), fields=("X",))
        assert possible(facts(b""), (other, *SHIPPED)) == [BULK, NORMAL]

    def test_recipients_to_come(self) -> None:
        """There may be more of them; once there are enough, that is certain."""
        many = QueueClass("many", recipients=3)
        assert possible(facts(b""), (many, QueueClass(NORMAL))) == ["many", NORMAL]
        assert possible(facts(b"", recipients=3), (many, QueueClass(NORMAL))) == ["many"]


def test_notices() -> None:
    """What has nobody to go back to is a notice, whatever its header says."""
    assert classify(facts(b"Precedence: bulk\r\n\r\n", sender=NULL), SHIPPED) == NOTICE


@pytest.mark.parametrize(
    ("each", "fits"),
    [
        (QueueClass("x", accounts=("shop@hub.example",)), True),
        (QueueClass("x", accounts=("*.example",)), True),
        (QueueClass("x", accounts=("eve@hub.example",)), False),
        (QueueClass("x", senders=("hub.example",), recipients=2), False),
        (QueueClass("x", submitted=True), True),
        (QueueClass("x", submitted=False), False),
        (QueueClass("x", recipients=1, fields=("X-None",)), False),
        (QueueClass("x"), False),
    ],
)
def test_each_condition(each: QueueClass, *, fits: bool) -> None:
    """All that a class names must fit; one that names nothing is nobody's."""
    assert (classify(facts(), (each, *SHIPPED)) == "x") is fits


def test_the_first_that_fits() -> None:
    """The order decides."""
    one, two = (QueueClass(name, submitted=True) for name in ("one", "two"))
    assert classify(facts(), (one, two, *SHIPPED)) == "one"


def test_names() -> None:
    """Addresses are whole, domains are domains."""
    assert named(SHOP, ("Shop@hub.example".casefold(),))
    assert named(Path("SHOP", "hub.example"), ("shop@hub.example",))
    assert not named(SHOP, ("example",))


def test_weights() -> None:
    """Bulk weighs a tenth; each step of priority doubles or halves; what is unknown is normal."""
    classes = Classes()
    assert classes.weight(NORMAL, 0) == 10 * classes.weight(BULK, 0)
    assert classes.weight(NORMAL, 3) == 8 * classes.weight(NORMAL, 0)
    assert classes.weight("gone", -1) == classes.weight(NORMAL, 0) / 2


def test_schedules() -> None:
    """A class's wishes come before those of all mail, and a route's before a class's."""
    bulk = QueueClass(BULK, wishes=Wishes("class bulk", (("lifetime", DAY), ("delays", (HOUR,)))))
    routes = {"slow": Wishes("route slow", (("lifetime", 2 * DAY), ("maximum", 9 * HOUR)))}
    schedules = Schedules(Schedule(), Classes((bulk, *SHIPPED)), routes)
    assert schedules.find(NORMAL) == Schedule()
    assert schedules.find(BULK).lifetime == DAY
    over = schedules.find(BULK, "slow")
    assert (over.lifetime, over.delays, over.maximum) == (2 * DAY, (HOUR,), 9 * HOUR)
    assert str(over.line("lifetime")) == "[route slow] lifetime"
    assert str(over.line("delays")) == "[class bulk] delays"
    assert str(over.line("factor")) == "[queue] factor"
    assert schedules.longest >= 9 * HOUR
    assert not schedules.by_provider


def test_schedules_of_providers() -> None:
    """A provider's wishes stand between those of a class and those of a route."""
    bulk = QueueClass(BULK, wishes=Wishes("class bulk", (("lifetime", DAY), ("warning", HOUR))))
    routes = {"slow": Wishes("route slow", (("lifetime", 2 * DAY),))}
    providers = {"big": Wishes("provider big", (("lifetime", 3 * DAY), ("warning", 2 * HOUR)))}
    schedules = Schedules(Schedule(), Classes((bulk, *SHIPPED)), routes, providers)
    assert schedules.by_provider
    assert schedules.find(BULK, "", "big").lifetime == 3 * DAY
    found = schedules.find(BULK, "slow", "big")
    assert (found.lifetime, found.warning) == (2 * DAY, 2 * HOUR)
    assert schedules.find(BULK, "", "other").lifetime == DAY


def test_delays_of_ones_own() -> None:
    """Who names delays means them whatever the cause, but for causes that are named too."""
    wishes = Wishes("class x", (("delays", (7.0,)), ("causes.greylisted", (3.0,))))
    schedule = wishes.applied(Schedule(jitter=0.0))
    assert schedule.delay(1, cause=Cause.MAILBOX_FULL) == 7.0
    assert schedule.delay(1, cause=Cause.GREYLISTED) == 3.0
    plain = Schedule(jitter=0.0)
    assert plain.delay(1, cause=Cause.MAILBOX_FULL) == HOUR
    assert plain.delay(1, cause=Cause.OTHER) == MINUTE
    assert str(schedule.rule(0.0, 3.0, 1, Cause.GREYLISTED)) == "[class x] greylisted delays"
