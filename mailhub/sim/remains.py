"""What lives leave behind when they end: coroutines that nobody will resume, closed on the spot.

Left to itself, Python closes a coroutine when its collector comes upon it: amid whatever goes
on then, in another world perhaps, and in no order; its ``finally`` runs, finds others half
closed, and complains to whatever log there is. Here they are found and closed at once, and
nobody hears of it: a machine without power writes no log.

Invariants:

1. What belongs to another life is not touched: the search stops at the world's own objects
   (`Ground`) and at coroutines that were started in another life (`TURN`).
2. Afterwards nothing of these lives is suspended, and no failure waits to be looked at.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from enum import Enum, auto
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    ModuleType,
    TracebackType,
)
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import LogPublisher, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface.interface import Specification

from mailhub.sim.clock import TURN, Clock, Ground, Life

_ROUNDS: Final = 8
"""How often it is looked again: what is closed may begin something else, or be slow to go."""
_SUSPENDED: Final = (CoroutineType, AsyncGeneratorType)
_NOT_THROUGH: Final = (
    *(type, ModuleType, CodeType, FrameType, TracebackType, BuiltinFunctionType, Context),
    *(str, bytes, int, float, type(None), Specification, LogPublisher),
)
"""What leads to the whole process, or nowhere."""


class _Over(BaseException):
    """A life is over: what is thrown into the coroutines that were in it.

    Not by `close`: CPython 3.11 does not tell an asynchronous generator of it that is awaited,
    and whoever closes that then hears that it "is already running".
    """


def closed_down(clock: Clock, lives: Collection[Life]) -> None:
    """Close all that lives which are over have left."""
    clock.drop(lives)
    with _unheard():
        for life in lives:
            life.call(_clear_up, life)


def _clear_up(life: Life) -> None:
    for _ in range(_ROUNDS):
        found = list(_reached(life))
        suspended = [it for it in found if isinstance(it, _SUSPENDED)]
        if not suspended:
            break
        for each in suspended:
            _close(each)
    for each in found:
        if isinstance(each, Deferred) and isinstance(getattr(each, "result", None), Failure):
            each.addErrback(lambda _: None)
    life.remains.clear()


def _close(suspended: Any) -> None:
    """Have it run its ``finally``; whatever it says to that, and wherever it comes to a halt."""
    with suppress(BaseException):
        if isinstance(suspended, AsyncGeneratorType):
            suspended.athrow(_Over()).send(None)
        else:
            suspended.throw(_Over())


class _Sort(Enum):
    """What the search does at an object of a class."""

    PAST = auto()
    THROUGH = auto()
    GROUND = auto()
    DEFERRED = auto()
    SUSPENDED = auto()


_SORTS: Final[dict[type, _Sort]] = {}
"""Of the classes met so far: the search comes by a hundred thousand objects."""


def _sort(kind: type) -> _Sort:
    found = _SORTS.get(kind)
    if found is None:
        found = _SORTS[kind] = _sorted(kind)
    return found


def _sorted(kind: type) -> _Sort:
    for sort, kinds in (
        (_Sort.PAST, _NOT_THROUGH),
        (_Sort.GROUND, (Ground,)),
        (_Sort.DEFERRED, (Deferred,)),
        (_Sort.SUSPENDED, _SUSPENDED),
    ):
        if issubclass(kind, kinds):
            return sort
    return _Sort.THROUGH


def _reached(life: Life) -> Iterator[Any]:
    """The coroutines and Deferreds of a life."""
    seen: set[int] = set()
    todo: list[Any] = [life.remains]
    while todo:
        found = todo.pop()
        if id(found) in seen:
            continue
        sort = _sort(type(found))
        if sort is _Sort.GROUND and not found.part_of(life):
            continue
        if sort is _Sort.SUSPENDED and not _waits(found):
            continue
        seen.add(id(found))
        if sort in (_Sort.DEFERRED, _Sort.SUSPENDED):
            yield found
        todo += [it for it in _behind(found, life) if _sort(type(it)) is not _Sort.PAST]


def _waits(it: Any) -> bool:
    """Whether it has begun, and not ended."""
    if isinstance(it, CoroutineType):
        return it.cr_frame is not None and not it.cr_running
    return it.ag_frame is not None


def _behind(found: Any, life: Life) -> list[Any]:
    """What leads on from an object."""
    if isinstance(found, FunctionType):  # not its module
        return [found.__closure__, found.__defaults__, found.__kwdefaults__]
    referents = gc.get_referents(found)
    if isinstance(found, tuple):  # such as Twisted keeps to resume a coroutine by
        for each in referents:
            if isinstance(each, Context) and each.get(TURN) is not life:
                return []
    return referents


@contextmanager
def _unheard() -> Iterator[None]:
    """Let nobody hear what is logged, nor what Python says of coroutines that do not end well."""
    publisher: Any = globalLogPublisher
    observers, publisher._observers = publisher._observers, []  # noqa: SLF001  # it has no mute
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        publisher._observers = observers  # noqa: SLF001
        sys.unraisablehook = hook
