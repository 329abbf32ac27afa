"""How IMAP's cost grows with the mailbox: from 1,000 messages to as many as one likes.

    python -m bench.growth [--sizes 1000,10000,100000] [--plot bench/growth.svg]

Each mailbox is laid down as a maildir of small messages, which the hub then discovers. It is
measured alone. Cold is the first SELECT after a start, with the index on disk.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from bench import processes
from bench.clients import Imap, Line, greet, send
from bench.peers import Mailhub, address, clean
from bench.plot import plot
from bench.reading import ACCOUNT, Neighbour

LARGEST_WHOLE = 100_000
"""Messages above which commands that read or sort them all are left out."""

STEPS = {
    "FETCH 1:* (UID FLAGS)": b"FETCH 1:* (UID FLAGS)",
    "FETCH 1:* (ENVELOPE)": b"FETCH 1:* (ENVELOPE)",
    "SEARCH UNSEEN": b"SEARCH UNSEEN",
    "SEARCH SUBJECT x": b"SEARCH SUBJECT oyster",
    "SEARCH BODY x": b"SEARCH BODY walrus77",
    "SORT (SUBJECT)": b"SORT (SUBJECT) UTF-8 ALL",
    "THREAD REFERENCES": b"THREAD REFERENCES UTF-8 ALL",
    "STORE 1:* +FLAGS": b"STORE 1:* +FLAGS (\\Flagged)",
}
ANY_SIZE = ("FETCH 1:* (UID FLAGS)", "SEARCH UNSEEN")


def lay(maildir: Path, count: int) -> None:
    """A maildir of so many messages of some 300 octets, all but every tenth seen."""
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    base = f"{maildir}/cur"
    for number in range(count):
        octets = (
            f"From: Sender {number % 50} <sender{number % 50}@elsewhere.example>\r\n"
            f"To: reader@bench.example\r\nSubject: The oyster and the matter of {number // 5}\r\n"
            f"Date: Tue, 24 Nov 2026 10:{number // 60 % 60:02d}:{number % 60:02d} +0000\r\n"
            f"Message-ID: <{number}@bench.example>\r\n"
            f"References: <{number - number % 5}@bench.example>\r\n\r\n"
            f"The time has come, the walrus{number % 100} said.\r\n"
        ).encode()
        flags = "" if number % 10 == 0 else "S"
        name = f"{1_700_000_000 + number}.M{number}.bench,S={len(octets)}:2,{flags}"
        with open(f"{base}/{name}", "wb", buffering=0) as file:
            file.write(octets)


def timed(imap: Imap, command: bytes) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    imap.quick(command)
    return time.perf_counter() - started


def measure(hub: Mailhub, count: int) -> dict[str, float]:
    """Seconds for each step on a mailbox of `count`, `memory` in octets a message."""
    mailbox = b"Grown%d" % count
    with Imap(hub.ports["imap"], ACCOUNT) as imap:
        imap.quick(b"SELECT INBOX")  # makes the maildir
    hub.lay(ACCOUNT, mailbox.decode(), lambda maildir: lay(maildir, count))
    found: dict[str, float] = {}
    with Imap(hub.ports["imap"], ACCOUNT) as imap:
        found["discovery"] = timed(imap, b"SELECT " + mailbox)
    hub.stop()
    hub.resume()
    with Imap(hub.ports["imap"], ACCOUNT) as imap:
        before = processes.memory(hub.roots())
        found["SELECT, cold"] = timed(imap, b"SELECT " + mailbox)
        found["memory"] = (processes.memory(hub.roots()) - before) / count
        warm = []
        for _ in range(5):
            imap.quick(b"UNSELECT")
            warm.append(timed(imap, b"SELECT " + mailbox))
        found["SELECT, warm"] = statistics.median(warm)
        known = imap.command(b"CAPABILITY")
        for name, command in STEPS.items():
            word = command.split()[0]
            if count > LARGEST_WHOLE and name not in ANY_SIZE:
                continue
            if word in (b"SORT", b"THREAD") and word not in known:
                continue
            imap.quick(command)
            with Neighbour(hub.ports["imap"]) as neighbour:
                found[name] = timed(imap, command)
            found[f"wait: {name}"] = neighbour.longest
        found["250 to EXISTS"] = _notified(hub, imap, mailbox)
    return found


def _notified(hub: Mailhub, imap: Imap, mailbox: bytes) -> float:
    """From the OK of an APPEND to the EXISTS of an idling client."""
    imap.say(b"i IDLE\r\n")
    imap.line()
    delays = []
    with Imap(hub.ports["imap"], ACCOUNT) as other:
        for _ in range(5):
            other.append(mailbox, b"Subject: one more\r\n\r\nBody\r\n")
            taken = time.perf_counter()
            while b"EXISTS" not in imap.line():
                pass
            delays.append(time.perf_counter() - taken)
    return statistics.median(delays)


def deliveries(hub: Mailhub) -> float:
    """Seconds of one SMTP transaction into INBOX, the median of a hundred."""
    taken = []
    with Line(hub.ports["smtp"]) as smtp:
        greet(smtp)
        for _ in range(100):
            started = time.perf_counter()
            send(smtp, address(ACCOUNT), b"Subject: one\r\n\r\nBody\r\n")
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def report(sizes: list[int], found: dict[int, dict[str, float]]) -> str:
    """A table: time a message for what is about all of them, the whole otherwise."""
    head = " | ".join(f"{size:,}" for size in sizes)
    lines = [f"| step | {head} |", "|---" * (len(sizes) + 1) + "|"]
    for name in dict.fromkeys(name for size in sizes for name in found[size]):
        cells = [
            _cell(name, found[size][name], size) if name in found[size] else "" for size in sizes
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(name: str, value: float, size: int) -> str:
    if name == "memory":
        return f"{value:.0f} octets/message"
    if name in STEPS:
        return f"{value / size * 1e6:.2f} µs/message"
    return f"{value * 1e3:.2f} ms"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--plot", type=Path, help="where to write the picture")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    hub = Mailhub()
    found: dict[int, dict[str, float]] = {}
    try:
        hub.start()
        for size in sizes:
            found[size] = measure(hub, size)
            print(f"{size:,}: " + ", ".join(f"{k} {v:.4g}" for k, v in found[size].items()))
        hub.stop()
    finally:
        hub.stop()
        clean()
    print(report(sizes, found))
    if options.plot is not None:
        curves = {
            name: [(size, found[size][name] / size * 1e6) for size in sizes if name in found[size]]
            for name in STEPS
            if name in found[sizes[0]]
        }
        picture = plot("IMAP, by the size of the mailbox", "messages", "µs a message", curves)
        options.plot.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
