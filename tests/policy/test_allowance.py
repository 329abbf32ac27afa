"""How much may be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import Path
from mailhub.policy.allowance import SHIPPED, SLOT, Action, Allowance, Used, exceeded, slot_of

ANN = Path("Ann", "hub.example")
NOW = 1000.5 * SLOT
USED = [
    Used(1000, 10, 30, 5),
    Used(994, 10, 20, 5),
    Used(993, 1, 1, 1),
    Used(856, 100, 100, 100),
    Used(855, 9, 9, 9),
]


def key(allowance: Allowance, **more: int) -> str | None:
    found = exceeded(allowance, "ann", USED, NOW, **more)
    return None if found is None else found.key


def test_an_hour_slides() -> None:
    """What is partly more than an hour ago counts whole."""
    limit = Allowance("x", recipients_per_hour=55)
    assert key(limit, recipients=5) is None
    assert key(limit, recipients=6) == "recipients per hour"
    assert key(Allowance("x", messages_per_hour=20), messages=1) == "messages per hour"


@given(st.lists(st.tuples(st.floats(0, 4000), st.integers(1, 5)), max_size=60), st.integers(5, 20))
def test_no_hour_has_more(waits: list[tuple[float, int]], limit: int) -> None:
    """Whenever an hour begins."""
    allowance = Allowance("x", recipients_per_hour=limit)
    now, sent = NOW, list[tuple[float, int]]()
    for wait, number in waits:
        now += wait
        used = [Used(slot_of(at), 1, count, 0) for at, count in sent]
        if exceeded(allowance, "ann", used, now, recipients=number) is None:
            sent.append((now, number))
    for first, _ in sent:
        assert sum(count for at, count in sent if first <= at < first + 3600) <= limit


def test_a_day() -> None:
    """Twenty-four hours count, and what has begun within them."""
    assert key(Allowance("x", recipients_per_day=152), recipients=1) is None
    assert key(Allowance("x", recipients_per_day=151), recipients=1) == "recipients per day"
    assert key(Allowance("x", messages_per_day=121), messages=1) == "messages per day"
    assert key(Allowance("x", new_per_day=111), new=1) == "new recipients per day"
    assert key(Allowance("x", new_per_day=111), recipients=9) is None


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
