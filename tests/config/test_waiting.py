"""Classes of mail, as the file says them."""

from __future__ import annotations

from pathlib import Path

from mailhub.config.load import parse
from mailhub.policy.allowance import Action
from mailhub.policy.queueclass import BULK, NORMAL, NOTICE, SHIPPED
from mailhub.policy.retry import DAY, HOUR, MINUTE, Schedule


def hub() -> str:
    return "hub.example"


def test_own_classes_come_first() -> None:
    """In the order of the file, before those that are always there."""
    settings, mistakes = parse(
        """
[class alarm]
accounts = Monitor@hub.example, *.lab.example
weight = 100
delays = 1m
greylisted delays = 2m

[class letters]
fields =
    X-Campaign
    Precedence: bulk, list
recipients = 50
submitted = yes
""",
        hub,
    )
    assert mistakes == []
    alarm, letters, *rest = settings.classes.all
    assert (alarm.name, alarm.weight) == ("alarm", 100.0)
    assert alarm.accounts == ("monitor@hub.example", "*.lab.example")
    assert letters.fields == ("X-Campaign", "Precedence: bulk, list")
    assert (letters.recipients, letters.submitted) == (50, True)
    assert tuple(rest) == SHIPPED
    schedule = settings.schedules().find("alarm")
    assert schedule.delays == (MINUTE,)
    assert schedule.causes.greylisted == (2 * MINUTE,)
    assert schedule.causes.mailbox_full == ()


def test_a_known_class_is_changed() -> None:
    """Only in what is given: bulk mail stays what it is."""
    settings, mistakes = parse("[class bulk]\nlifetime = 1d\n[class normal]\nweight = 3\n", hub)
    assert mistakes == []
    assert [each.name for each in settings.classes.all] == [NOTICE, BULK, NORMAL]
    bulk = settings.classes.find(BULK)
    assert (bulk.weight, bulk.fields) == (1.0, SHIPPED[1].fields)
    assert settings.classes.weight(NORMAL, 0) == 3.0
    assert settings.schedules().find(BULK).lifetime == DAY
    assert settings.schedules().find(NORMAL) == Schedule()


def test_a_routes_wishes() -> None:
    """A route may be tried longer, or more rarely."""
    settings, mistakes = parse(
        "[route slow]\nhost = smtp.example:25\nlifetime = 2h\nmailbox full delays = 1h\n", hub
    )
    assert mistakes == []
    schedule = settings.schedules().find(NORMAL, "slow")
    assert (schedule.lifetime, schedule.causes.mailbox_full) == (2 * HOUR, (HOUR,))
    assert str(schedule.line("lifetime")) == "[route slow] lifetime"


def test_mistakes() -> None:
    """A class of nobody, and the rest with a condition."""
    _, mistakes = parse("[class x]\nweight = 2\n[class normal]\nsubmitted = yes\n", hub)
    assert [(it.line, it.section) for it in mistakes] == [(1, "class x"), (3, "class normal")]


def test_limits() -> None:
    """The one that is always there is changed in what is given; others come beside it."""
    settings, mistakes = parse(
        "[limit accounts]\nrecipients per hour = 5\n"
        "[limit pupils]\naccounts = school.example\nmessages per day = 7\naction = refuse\n",
        hub,
    )
    assert mistakes == []
    accounts, pupils = settings.allowances
    assert (accounts.recipients_per_hour, accounts.recipients_per_day) == (5, 5000)
    assert (pupils.accounts, pupils.messages_per_day) == (("school.example",), 7)
    assert pupils.action is Action.REFUSE


def test_backups(tmp_path: Path) -> None:
    """Domains, with a list of who exists, and a schedule of their own."""
    known = tmp_path / "known"
    known.write_text("# who is there\nAnn@a.example\n\n")
    settings, mistakes = parse(
        f"[backup n]\ndomains = a.example\nrecipients file = {known}\nlifetime = 14d\n", hub
    )
    assert mistakes == []
    [backup] = settings.access.backups
    assert backup.recipients == frozenset({"ann@a.example"})
    assert settings.schedules().find(NORMAL, "backup n").lifetime == 14 * DAY


def test_bad_backups() -> None:
    """No domain, all domains, and a list that is not there."""
    _, mistakes = parse(
        "[backup a]\nlifetime = 1d\n[backup b]\ndomains = *\n"
        "[backup c]\ndomains = c.example\nrecipients file = /nowhere/at/all\n",
        hub,
    )
    assert [it.section for it in mistakes] == ["backup a", "backup b", "backup c"]
