"""Values: frozen dataclasses for whoever reads and checks the code, made as quickly as open ones.

Python's frozen dataclasses set each attribute through ``object.__setattr__``, which makes
them six times as slow to make as those that may be changed, and a message on its way
through the hub is some hundred of them. Nobody changes a value: mypy sees to that, to
which `value` is `dataclasses.dataclass` and `replace` is `dataclasses.replace`. So
nothing need stand in the way when the program runs.

Invariants:

1. A `value` is compared, hashed and shown as the frozen dataclass would be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["replace", "value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
    from dataclasses import replace
else:
    T = TypeVar("T")

    def value(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """A decorator that makes a class a value: to be called with both arguments true."""
        assert frozen
        assert slots

        def made(bare: type[T]) -> type[T]:
            kind = dataclasses.dataclass(slots=True, unsafe_hash=True)(bare)
            kind.__replace__ = _replacing(kind)
            return kind

        return made

    def replace(old: T, /, **changes: Any) -> T:
        """A value like another one, but for these attributes."""
        return old.__replace__(changes)


def _replacing(kind: type[Any]) -> Callable[[Any, dict[str, Any]], Any]:
    """A method that copies attribute by attribute, without looking for their names."""
    if not all(field.init for field in dataclasses.fields(kind)):
        return lambda old, changes: dataclasses.replace(old, **changes)
    names = [field.name for field in dataclasses.fields(kind)]
    lines = [
        "def __replace__(self, changes):",
        " new = make(self.__class__)",
        *(f" new.{name} = self.{name}" for name in names),
        " for name, it in changes.items():",
        "  setattr(new, name, it)",
        *([" new.__post_init__()"] if hasattr(kind, "__post_init__") else []),
        " return new",
    ]
    scope: dict[str, Any] = {"make": object.__new__}
    exec("\n".join(lines), scope)  # noqa: S102  # names of attributes, as dataclasses do it
    method: Callable[[Any, dict[str, Any]], Any] = scope["__replace__"]
    return method
