"""How much may be sent."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path
from mailhub.policy.allowance import HOUR, SHIPPED, Action, Allowance, Used, exceeded

ANN = Path("Ann", "hub.example")
NOW = 100.5 * HOUR
USED = [Used(100, 10, 40, 5), Used(99, 10, 20, 5), Used(77, 100, 100, 100), Used(76, 9, 9, 9)]


def key(allowance: Allowance, **more: int) -> str | None:
    found = exceeded(allowance, "ann", USED, NOW, **more)
    return None if found is None else found.key


def test_an_hour_slides() -> None:
    """Half an hour into this hour, half of the last one still counts."""
    limit = Allowance("x", recipients_per_hour=55)
    assert key(limit, recipients=5) is None
    assert key(limit, recipients=6) == "recipients per hour"
    assert key(Allowance("x", messages_per_hour=15), messages=1) == "messages per hour"


def test_a_day() -> None:
    """Twenty-four hours count, the twenty-fifth does not."""
    assert key(Allowance("x", recipients_per_day=161), recipients=1) is None
    assert key(Allowance("x", recipients_per_day=160), recipients=1) == "recipients per day"
    assert key(Allowance("x", messages_per_day=120), messages=1) == "messages per day"
    assert key(Allowance("x", new_per_day=110), new=1) == "new recipients per day"
    assert key(Allowance("x", new_per_day=110), recipients=9) is None


def test_whose() -> None:
    """An allowance is counted for an account, or for a domain together."""
    assert Allowance("x").subject(ANN) == "ann@hub.example"
    assert Allowance("x", together=True).subject(ANN) == "hub.example"
    assert Allowance("x").applies(ANN)
    assert not Allowance("x", accounts=("other.example",)).applies(ANN)


def test_words() -> None:
    """What is exceeded is said, and the line that decides."""
    allowance = Allowance("pupils", recipients_per_day=1, action=Action.REFUSE)
    found = exceeded(allowance, "ann", USED, NOW, recipients=1)
    assert found is not None
    assert str(found.rule) == "[limit pupils] recipients per day"
    assert found.refusal().reply.status == "4.7.1"
    assert found.refusal().reply.code == 452


@pytest.mark.parametrize("each", SHIPPED)
def test_shipped(each: Allowance) -> None:
    """Without a word of configuration a stolen password does not send a hundred thousand."""
    assert each.applies(ANN)
    assert 0 < each.recipients_per_day < 100_000
    assert each.action is Action.HOLD
