"""Commands are values."""

from __future__ import annotations

import dataclasses

import pytest

from mailhub.imap import command as commands
from mailhub.imap.sequence import SequenceSet


def test_frozen() -> None:
    """Two commands that ask for the same are equal, and nobody changes one."""
    one = commands.Copy(SequenceSet(((1, 2),)), b"x", by_uid=True, move=False)
    assert one == commands.Copy(SequenceSet(((1, 2),)), b"x", by_uid=True, move=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.move = True  # type: ignore[misc]


def test_all_are_commands() -> None:
    """All but what stands in them derive from `Command`."""
    classes = [value for value in vars(commands).values() if isinstance(value, type)]
    values = [value for value in classes if dataclasses.is_dataclass(value)]
    others = {value.__name__ for value in values if not issubclass(value, commands.Command)}
    assert others == {
        *("Asked", "Partial", "Returning", "Selecting", "SequenceSet"),
        *("Since", "Sorting", "Source", "Stretch", "Watch"),
    }
