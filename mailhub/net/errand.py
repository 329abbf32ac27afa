"""A coroutine under way, and who is told of its end: `Deferred.fromCoroutine` for busy ways.

What it leaves out: a Deferred for the result, a context of its own (`contextvars`), and the
machinery for generators; that is two thirds of the time.

Invariants:

1. `ended` is called once, when the coroutine has ended: with the errand, and its result or
   a `Failure`.
2. Cancelling cancels what the coroutine waits for; whether it ends then is its own decision.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Errand(Generic[T]):
    """Runs a coroutine from `begin` on, as far as it gets, and on whenever what it awaits is there.

    It may await Deferreds, and what awaits them.
    """

    __slots__ = ("_awaited", "_coroutine", "_ended")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        ended: Callable[[Errand[T], T | Failure], object],
    ) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._awaited: Deferred[Any] | None = None

    def begin(self) -> None:
        """Run it until it waits."""
        self._go_on(None)

    def cancel(self) -> None:
        """Cancel what it waits for."""
        if self._awaited is not None:
            self._awaited.cancel()

    def _go_on(self, error: BaseException | None) -> None:
        coroutine = self._coroutine
        try:
            awaited = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as end:
            result: T | Failure = end.value
        except BaseException:  # whoever is told of it knows what to do
            result = Failure()
        else:
            self._awaited = awaited
            awaited.addBoth(self._came)
            return
        self._ended(self, result)

    def _came(self, result: object) -> None:
        """What was awaited is there, and the coroutine asks the Deferred for it.

        A failure is thrown: a Deferred that is calling back cannot be asked for one.
        """
        self._awaited = None
        self._go_on(result.value if isinstance(result, Failure) else None)
