"""Keys of how mail waits."""

from __future__ import annotations

from mailhub.config.keys_queue import CLASS, schedule_keys
from mailhub.policy.retry import KEYS, Schedule


def test_the_names_are_those_that_are_told() -> None:
    """What a journey says decided is the key that stands in the file."""
    assert {key.target: key.name for key in schedule_keys()}.items() <= KEYS.items()
    assert {it for it in KEYS if "." not in it} <= {key.target for key in schedule_keys()}
    assert {key.target for key in schedule_keys()} <= {key.target for key in CLASS.keys}


def test_defaults_can_be_shown() -> None:
    """Each key of all mail shows its default, and reads it back."""
    schedule = Schedule()
    for key in schedule_keys("schedule."):
        value: object = schedule
        for name in key.target.split(".")[1:]:
            value = getattr(value, name)
        assert key.kind.parse(key.kind.show(value)) == value
