"""IMAP commands of mailhub and Dovecot in turn, one by one: for machines that others use too.

    python -m bench.abreast [--rounds 15] [--only STORE]

Both servers run at once on the same 5,000 messages. Each command is given to the one and to
the other, again and again, and the quickest of each counts, and likewise the CPU time of
their processes: what others do meanwhile disturbs both, and CPU time the least.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bench import processes, reading
from bench.clients import Imap
from bench.peers import Classic, Mailhub, Peer, clean

Work = Callable[[Imap, int], object]
"""What is to be done in the n-th round; what it gives does not count."""


@dataclass(frozen=True)
class Trial:
    """Something to be measured, and what comes before it each time."""

    name: str
    work: Work
    before: Work = lambda _imap, _number: None


def trials(known: dict[str, bytes]) -> Iterator[Trial]:
    """All of them."""
    for name, command in known.items():
        yield Trial(name, partial(_say, command))
    yield Trial("STORE 1:* ±FLAGS", _store)
    yield Trial("COPY 1:*", _copy, _create)
    for name in reading.UNREMEMBERED:
        if name in known:
            yield Trial(f"{name}, a message later", partial(_say, known[name]), _arrive)


def _say(command: bytes, imap: Imap, _number: int) -> None:
    imap.quick(command)


def _store(imap: Imap, number: int) -> None:
    imap.quick(b"STORE 1:* %bFLAGS (\\Flagged)" % (b"+", b"-")[number % 2])


def _create(imap: Imap, number: int) -> None:
    imap.quick(b"CREATE Copy%d" % number)


def _copy(imap: Imap, number: int) -> None:
    imap.quick(b"COPY 1:* Copy%d" % number)


def _arrive(imap: Imap, number: int) -> None:
    imap.append(b"Many", reading.message(reading.MESSAGES + number))
    imap.quick(b"NOOP")
    imap.quick(b"SEARCH BODY qqqqqq")  # so that either has read what came


def measure(trial: Trial, sides: list[tuple[Peer, Imap]], rounds: int) -> list[tuple[float, float]]:
    """For each server the shortest time and the least CPU time, in seconds."""
    taken: list[list[float]] = [[] for _ in sides]
    spent: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + 1):
        for place, (peer, imap) in enumerate(sides):
            trial.before(imap, number)
            cpu, started = _cpu(peer), time.perf_counter()
            trial.work(imap, number)
            if number:  # the first time both learn
                taken[place].append(time.perf_counter() - started)
                spent[place].append(_cpu(peer) - cpu)
    return [(min(times), min(cpu)) for times, cpu in zip(taken, spent, strict=True)]


def _cpu(peer: Peer) -> float:
    pids = {pid for root in peer.roots() for pid in processes.tree(root)}
    return sum(map(processes.cpu_exactly, pids))


def row(name: str, ours: tuple[float, float], theirs: tuple[float, float]) -> str:
    """A row of the table."""
    cells = [name]
    for mine, other in zip(ours, theirs, strict=True):
        cells += [f"{it / reading.MESSAGES * 1e6:.2f}" for it in (mine, other)]
        cells.append(f"{other / mine:.2f}×")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="commands that have this in their names")
    options = parser.parse_args()
    peers: list[Peer] = [Mailhub(), Classic()]
    try:
        sides = []
        for peer in peers:
            peer.start()
            imap = Imap(peer.ports["imap"], reading.ACCOUNT)
            imap.command(b"CREATE Many")
            reading.fill(imap, b"Many", reading.MESSAGES)
            imap.command(b"SELECT Many")
            sides.append((peer, imap))
        print("| µs a message | mailhub | Dovecot | mailhub is |", end="")
        print(" CPU: mailhub | Dovecot | mailhub is |\n|---|---|---|---|---|---|---|")
        for trial in trials(reading.offered(sides[0][1])):
            if options.only not in trial.name:
                continue
            rounds = options.rounds if "BODY" not in trial.name else max(options.rounds // 3, 1)
            print(row(trial.name, *measure(trial, sides, rounds)), flush=True)
    finally:
        for peer in peers:
            peer.stop()
        clean()


if __name__ == "__main__":
    main()
