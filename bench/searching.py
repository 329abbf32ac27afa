"""What the full-text index costs, and how long searches take and the event loop is busy.

    python -m bench.searching [--messages 5000] [--size 4096] [--hostile 100000]

Messages are made of words as frequent as those of a language: the commonest stand in every
message, most in few. Every search is measured the first time, when nothing of it is
remembered: a message arrives before each. The hub is measured alone. A turn is the CPU time
of the event loop's thread between two looks at its sockets: on a busy machine a clock would
measure the others.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import processes
from bench.clients import Imap
from bench.figure import Figure
from bench.metered import Metered
from bench.peers import clean
from bench.reading import ACCOUNT

SEED = 1
WORDS = 30_000
"""Of the made-up language; the n-th is n times as rare as the first (Zipf)."""
SAMPLE = 300
"""Words and messages that are looked at to find words to search for."""
ROUNDS = 5
SEARCHES = {
    "SEARCH BODY, in every message": b"SEARCH BODY %(common)s",
    "SEARCH BODY, in one of a hundred": b"SEARCH BODY %(seldom)s",
    "SEARCH BODY, in none": b"SEARCH BODY qqqqqq",
    "SEARCH TEXT": b"SEARCH TEXT %(seldom)s",
    "SEARCH NOT BODY": b"SEARCH NOT BODY %(seldom)s",
    "SEARCH BODY, two letters (reads all)": b"SEARCH BODY qq",
    "SEARCH SUBJECT": b"SEARCH SUBJECT matter",
    "SEARCH HEADER Message-ID": b"SEARCH HEADER Message-ID <77@bench.example>",
    "SEARCH UNSEEN NOT DELETED": b"SEARCH UNSEEN NOT DELETED",
    "SEARCH FUZZY BODY": b"SEARCH RETURN (ALL RELEVANCY) FUZZY BODY %(seldom)s",
    "SORT (SUBJECT)": b"SORT (SUBJECT) UTF-8 ALL",
    "SORT (REVERSE DATE)": b"SORT (REVERSE DATE) UTF-8 ALL",
    "THREAD REFERENCES": b"THREAD REFERENCES UTF-8 ALL",
    "THREAD REFS": b"THREAD REFS UTF-8 ALL",
}


class Language:
    """Words, and texts made of them."""

    def __init__(self) -> None:
        self._chance = random.Random(SEED)
        letters = "eeeetttaaaoooiinnsshhrrddllcumwfgypbvk"
        made: dict[str, None] = {}
        while len(made) < WORDS:
            made["".join(self._chance.choices(letters, k=self._chance.randint(2, 11)))] = None
        self.words = list(made)
        self._weights = [1 / rank for rank in range(1, WORDS + 1)]

    def text(self, size: int) -> str:
        """About so many letters, in lines."""
        words = self._chance.choices(self.words, self._weights, k=size // 5)
        lines = (" ".join(words[start : start + 12]) for start in range(0, len(words), 12))
        return "\r\n".join(lines)[:size]

    def message(self, number: int, size: int, references: str) -> bytes:
        """A message."""
        return (
            f"From: Sender {number % 50} <sender{number % 50}@elsewhere.example>\r\n"
            f"To: reader@bench.example\r\nSubject: The matter of {number // 5}\r\n"
            f"Date: Tue, 24 Nov 2026 10:{number // 60 % 60:02d}:{number % 60:02d} +0000\r\n"
            f"Message-ID: <{number}@bench.example>\r\nReferences: {references}\r\n\r\n"
            f"{self.text(size)}\r\n"
        ).encode()

    def probes(self, messages: list[bytes]) -> dict[bytes, bytes]:
        """A word that stands in nearly all of some messages, and one in some of a hundred."""
        some = messages[:: max(len(messages) // SAMPLE, 1)]
        words = [word.encode() for word in self.words[:: WORDS // SAMPLE] + self.words[:SAMPLE]]
        counts = {word: sum(word in it for it in some) for word in words if len(word) > 4}
        shares = {b"common": len(some), b"seldom": len(some) / 100}
        return {
            name: min(counts, key=lambda word, share=share: abs(counts[word] - share))  # type: ignore[misc]
            for name, share in shares.items()
        }


def lay(maildir: Path, messages: Iterator[bytes]) -> None:
    """A maildir of messages."""
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(messages):
        name = f"{1_700_000_000 + number}.M{number}.bench,S={len(octets)}:2,"
        (maildir / "cur" / name).write_bytes(octets)


def waited(hub: Metered, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that something takes, and the longest turn of the hub's event loop meanwhile."""
    hub.longest_turn()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started, hub.longest_turn()


def indexing(hub: Metered, imap: Imap, mailbox: bytes, count: int, octets: int) -> list[Figure]:
    """The first search of a mailbox that the index does not know."""
    index = hub.maildir(ACCOUNT) / "mailhub-index"
    imap.quick(b"SELECT " + mailbox)
    before, cpu = index.stat().st_size, processes.cpu(hub.roots())
    taken, waiting = waited(hub, lambda: imap.quick(b"SEARCH BODY qqqqqq"))
    cpu = processes.cpu(hub.roots()) - cpu
    more = (index.stat().st_size - before) / count
    return [
        Figure("the index takes in", count / taken, "messages/s"),
        Figure("CPU for that", cpu / count * 1e6, "µs/message", more=False),
        Figure("index", more, "octets/message", more=False),
        Figure("index, of the mail", more * count / octets * 100, "%", more=False),
        Figure("longest turn, indexing", waiting * 1e3, "ms", more=False),
    ]


def searches(hub: Metered, imap: Imap, mailbox: bytes, probes: dict[bytes, bytes]) -> list[Figure]:
    """Each search after an arrival, so that nothing of it is remembered."""
    figures = []
    longest = (0.0, "")
    for name, command in SEARCHES.items():
        times = []
        for _ in range(ROUNDS):
            imap.append(mailbox, b"Subject: one more\r\n\r\nBody\r\n")
            imap.quick(b"SEARCH BODY qqqqqq")  # teaches the index of the new one
            taken, waiting = waited(hub, partial(imap.quick, command % probes))
            times.append(taken)
            longest = max(longest, (waiting, name))
        count = int(imap.command(b"SEARCH RETURN (COUNT) ALL").split(b"COUNT ")[1].split()[0])
        figures.append(Figure(name, count / statistics.median(times), "messages/s"))
    turn, name = longest
    return [*figures, Figure(f"longest turn: {name}", turn * 1e3, "ms", more=False)]


def hostile(hub: Metered, language: Language, count: int) -> list[Figure]:
    """Threads that were made to hurt."""
    figures = []
    shapes: dict[str, Callable[[int], str]] = {
        "a chain": lambda n: f"<{n - 1}@bench.example>",
        "a chain backwards": lambda n: f"<{n + 1}@bench.example>",
        "rings": lambda n: f"<{n - n % 1000 + (n + 1) % 1000}@bench.example>",
        "a hundred strangers each": lambda n: " ".join(f"<{n}.{m}@x>" for m in range(100)),
    }
    for name, refers in shapes.items():
        mailbox = name.replace(" ", "")
        made = (language.message(n, 40, refers(n)) for n in range(1, count + 1))
        hub.lay(ACCOUNT, mailbox, partial(lay, messages=made))
        with Imap(hub.ports["imap"], ACCOUNT) as imap:
            imap.quick(b"SELECT " + mailbox.encode())
            imap.quick(b"SEARCH BODY qqqqqq")
            taken, turn = waited(hub, partial(imap.quick, b"THREAD REFERENCES UTF-8 ALL"))
        figures.append(Figure(f"THREAD of {name}", count / taken, "messages/s"))
        figures.append(Figure(f"longest turn, {name}", turn * 1e3, "ms", more=False))
    return figures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--hostile", type=int, default=100_000, help="messages; 0 for none")
    options = parser.parse_args()
    language = Language()
    messages = [
        language.message(n, options.size - 300, f"<{n - n % 5}@bench.example>")
        for n in range(options.messages)
    ]
    hub = Metered()
    print("| figure | mailhub |\n|---|---|")
    try:
        hub.start()
        with Imap(hub.ports["imap"], ACCOUNT) as imap:
            imap.quick(b"SELECT INBOX")  # makes the maildir
            hub.lay(ACCOUNT, "Words", lambda maildir: lay(maildir, iter(messages)))
            show(indexing(hub, imap, b"Words", len(messages), sum(map(len, messages))))
            show(searches(hub, imap, b"Words", language.probes(messages)))
        if options.hostile:
            show(hostile(hub, language, options.hostile))
    finally:
        hub.stop()
        clean()


def show(figures: list[Figure]) -> None:
    """Print rows of the table."""
    for figure in figures:
        print(f"| {figure.name} | {figure.value:,.6g} {figure.unit} |", flush=True)


if __name__ == "__main__":
    main()
