"""What journeys cost: the same mail through two hubs, one with and one without, in CPU seconds.

    python -m bench.journeys [--rounds 20] [--messages 500]

Both run side by side and are given small batches in turn, each first as often as second: what
else the machine does meanwhile then falls on both.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import time

from bench import processes
from bench.clients import source
from bench.peers import Mailhub, address, clean, free_port, wait_for
from bench.postfix import search_path

WITHOUT = "[journey]\nkeep = 0\n"
RELAYING = """
[route everything]
recipients = *
host = 127.0.0.1:{port}
tls = none
"""


QUIET = 0.5
IDLE = 0.002
"""A hub has done everything when it uses no more CPU than this in so many seconds."""


class Sink:
    """Postfix's smtp-sink."""

    def __init__(self) -> None:
        self.port = free_port()
        program = shutil.which("smtp-sink", path=search_path())
        assert program
        command = [program, "-u", "nobody", f"127.0.0.1:{self.port}", "1000"]
        self._process = subprocess.Popen(command)
        wait_for(self.port, b"220")

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def spent(hub: Mailhub, messages: int, to: str) -> float:
    """CPU seconds that a hub uses for so many messages, and what follows from them."""
    [pid] = hub.roots()
    before = processes.cpu_exactly(pid)
    source(hub.ports["smtp"], sessions=20, messages=messages, size=4096, to=to)
    last, now = 0.0, processes.cpu_exactly(pid)
    while now - last > IDLE:
        time.sleep(QUIET)
        last, now = now, processes.cpu_exactly(pid)
    return now - before


def compare(more: str, to: str, rounds: int, messages: int) -> tuple[float, float]:
    """Microseconds of CPU a message, without journeys and with them."""
    hubs = [Mailhub(more + WITHOUT), Mailhub(more)]
    costs: list[list[float]] = [[], []]
    try:
        for hub in hubs:
            hub.start()
            spent(hub, messages, to)  # both warm
        for number in range(rounds):
            for which in (0, 1) if number % 2 else (1, 0):
                costs[which].append(spent(hubs[which], messages, to))
    finally:
        for hub in hubs:
            hub.stop()
    off, on = (statistics.median(each) / messages * 1e6 for each in costs)
    return off, on


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--only", choices=["filed", "relayed"])
    options = parser.parse_args()
    sink = Sink()
    try:
        for name, more, to in (
            ("filed", "", address(1)),
            ("relayed", RELAYING.format(port=sink.port), "someone@elsewhere.example"),
        ):
            if options.only not in (None, name):
                continue
            off, on = compare(more, to, options.rounds, options.messages)
            share = (on / off - 1) * 100
            print(f"{name}: {off:.0f} µs a message without, {on:.0f} with journeys: {share:+.1f} %")
    finally:
        sink.stop()
        clean()


if __name__ == "__main__":
    main()
