"""What is too fast is found, in any span of a limit's length."""

from __future__ import annotations

from dataclasses import replace

from mailhub.mail.address import Path
from mailhub.policy.allowance import Action, Allowance
from mailhub.sim.rates import DAY, HOUR, MINUTE, Ceiling, Rates, ceiling_of
from tests.sim.machines import settings

ANN = Path("ann", "one.example")


def test_spans() -> None:
    """As many as may be within a minute; one more is told, wherever the minute begins."""
    rates, ceiling = Rates(), Ceiling("Far", spans=((MINUTE, 2),))
    for now in (0.0, 59.0, 60.0, 119.0):
        rates.begun("mx", ceiling, now)
    assert rates.faults == []
    rates.begun("other", ceiling, 119.5)
    assert rates.faults == []
    rates.begun("mx", ceiling, 119.5)
    assert rates.faults == ["mx to Far in 60 s: 3, where 2 may be"]


def test_a_clock_that_was_set() -> None:
    """What a source has forgotten with its clock counts no more, and others' does."""
    rates, ceiling = Rates(), Ceiling("Far", spans=((HOUR, 1),))
    rates.begun("mx 192.0.2.1", ceiling, 0.0)
    rates.begun("other 192.0.2.2", ceiling, 0.0)
    rates.forget("mx")
    rates.begun("mx 192.0.2.1", ceiling, 1.0)
    assert rates.faults == []
    rates.begun("other 192.0.2.2", ceiling, 1.0)
    assert len(rates.faults) == 1


def test_numbers() -> None:
    """Connections, messages and recipients; 0 is no limit."""
    rates, ceiling = Rates(), Ceiling("Far", connections=1, messages=2)
    rates.open("mx", ceiling, 1)
    rates.message("mx", ceiling, 2)
    rates.recipient("mx", ceiling, 1000)
    assert rates.faults == []
    rates.open("mx", ceiling, 2)
    rates.message("mx", ceiling, 3)
    rates.recipient("mx", replace(ceiling, recipients=9), 10)
    assert len(rates.faults) == 3


def test_what_is_configured() -> None:
    """A section's own words, and those of [relay] where it has none."""
    text = "[provider far]\nmx = *.far.example\nconnections = 3\nmessages per day = 9\n"
    found = ceiling_of(settings("mx.example", text), "mx1.far.example")
    assert found == Ceiling("far", 3, 100, 0, ((DAY, 9),))
    assert ceiling_of(settings("mx.example"), "mx.stranger.example") == Ceiling(
        "mx.stranger.example", 20, 100
    )


def test_accounts() -> None:
    """Messages, recipients and new ones, of an account and of a domain together."""
    rates = Rates()
    allowances = [
        Allowance("a", recipients_per_hour=3, new_per_day=2),
        Allowance("b", together=True, messages_per_day=2),
        Allowance("c", messages_per_day=1, action=Action.WARN),
    ]
    for now in (0.0, 1.0):
        rates.submitted("mx", allowances, ANN, ["x@far"], now)
    assert rates.faults == []
    rates.submitted("mx", allowances, ANN, ["y@far", "z@far"], 2.0)
    assert rates.faults == [
        "mx, limit a, ann@one.example in recipients per hour: 4, where 3 may be",
        "mx, limit a, ann@one.example in new recipients per day: 3, where 2 may be",
        "mx, limit b, one.example in messages per day: 3, where 2 may be",
    ]
