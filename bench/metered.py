"""A hub whose event loop tells how long its longest turn was.

    python -m bench.metered FILE ARGUMENTS...

runs ``twistd ARGUMENTS``, and at SIGUSR1 writes to FILE the CPU seconds of the longest turn
of the loop since the last time. A turn is all that the loop's thread does between two looks
at its sockets, garbage collection included.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bench.peers import Mailhub


class Metered(Mailhub):
    """mailhub with a meter."""

    def command(self, arguments: list[str]) -> list[str]:
        """What runs it."""
        return [sys.executable, "-m", "bench.metered", str(self._meter), *arguments]

    @property
    def _meter(self) -> Path:
        return self.home / "turn"

    def longest_turn(self) -> float:
        """The longest turn since this was last asked, in CPU seconds."""
        self._meter.unlink(missing_ok=True)
        for pid in self.roots():
            os.kill(pid, signal.SIGUSR1)
        deadline = time.monotonic() + 20
        while not (self._meter.exists() and self._meter.read_text()):
            if time.monotonic() > deadline:
                raise RuntimeError("the meter does not answer")
            time.sleep(0.01)
        return float(self._meter.read_text())


def _measure(reactor: Any, meter: Path) -> None:
    look, clock = reactor.doIteration, time.thread_time
    longest, begun = 0.0, clock()

    def looked(delay: float | None) -> None:
        nonlocal longest, begun
        # Whoever looks does the work of what it sees too: the turn begins anew before it.
        longest = max(longest, clock() - begun)
        begun = clock()
        look(delay)

    def asked(*_: object) -> None:
        nonlocal longest
        meter.write_text(str(longest), encoding="ascii")
        longest = 0.0

    reactor.doIteration = looked
    signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(asked))


def main() -> None:
    """Run twistd with a meter."""
    from twisted.internet import reactor  # noqa: PLC0415, TID251 -- as twistd does
    from twisted.scripts.twistd import run  # noqa: PLC0415

    meter = Path(sys.argv[1])
    sys.argv[:] = ["twistd", *sys.argv[2:]]
    _measure(reactor, meter)
    run()


if __name__ == "__main__":
    main()
