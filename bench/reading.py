"""IMAP on one mailbox of 5,000 messages of 4 KB: what each command costs, and the longest turn.

A command is repeated until it has taken `ENOUGH` in all, and its median counts. The mailbox is
filled by APPEND, so that both servers know it as they know any mailbox, and each command runs once
before it is measured: caches are warm. What a server does not offer is not measured.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Self

from bench.clients import Imap
from bench.figure import Figure
from bench.peers import Peer

MESSAGES = 5000
SIZE = 4096
ENOUGH = 0.6
"""Seconds that a command's repetitions shall take together."""
FEWEST = 3
STARTS = 3
MOST = 200
ACCOUNT = 3

COMMANDS: dict[str, bytes] = {
    "FETCH 1:* (UID FLAGS)": b"FETCH 1:* (UID FLAGS)",
    "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)": (
        b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"
    ),
    "FETCH 1:* (ENVELOPE)": b"FETCH 1:* (ENVELOPE)",
    "FETCH 1:* (BODYSTRUCTURE)": b"FETCH 1:* (BODYSTRUCTURE)",
    "FETCH 1:* (four header fields)": (
        b"FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])"
    ),
    "FETCH 1:* (BODY.PEEK[])": b"FETCH 1:* (BODY.PEEK[])",
    "SEARCH UNSEEN NOT DELETED": b"SEARCH UNSEEN NOT DELETED",
    "SEARCH SUBJECT x": b"SEARCH SUBJECT oyster",
    "SEARCH BODY x": b"SEARCH BODY walrus77",
    "SEARCH BODY, in all of them": b"SEARCH BODY things",
    "SORT (SUBJECT)": b"SORT (SUBJECT) UTF-8 ALL",
    "THREAD REFERENCES": b"THREAD REFERENCES UTF-8 ALL",
}
"""What is sent, by what it is called; each is about all messages."""
NEEDED = {"SORT (SUBJECT)": b"SORT", "THREAD REFERENCES": b"THREAD=REFERENCES"}
"""Capabilities beyond IMAP4rev1."""

UNREMEMBERED = (
    "SEARCH SUBJECT x",
    "SEARCH BODY, in all of them",
    "SORT (SUBJECT)",
    "THREAD REFERENCES",
)
"""Commands that a server may remember the results of: what they cost without."""

WORDS = ("walrus", "carpenter", "oyster", "cabbage", "king", "sealing-wax", "shoe", "ship", "pig")


def message(number: int) -> bytes:
    """A message of about `SIZE` octets; every fifth one begins a thread that the next four join."""
    word, first = WORDS[number % len(WORDS)], number - number % 5
    answers = f"References: <{first}@bench.example>\r\n" if number % 5 else ""
    head = (
        f"Return-Path: <sender{number % 50}@elsewhere.example>\r\n"
        f"Received: from elsewhere.example by mx.bench.example with ESMTP id {number:08d};\r\n"
        f"\tTue, 24 Nov 2026 10:{number // 60 % 60:02d}:{number % 60:02d} +0000\r\n"
        f"From: Sender {number % 50} <sender{number % 50}@elsewhere.example>\r\n"
        f"To: Reader <reader@bench.example>\r\n"
        f"Subject: {'Re: ' if answers else ''}The {word} and the matter of {first // 5}\r\n"
        f"Date: Tue, 24 Nov 2026 10:{number // 60 % 60:02d}:{number % 60:02d} +0000\r\n"
        f"Message-ID: <{number}@bench.example>\r\n{answers}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    line = f"The time has come, the {word}{number % 100} said, to talk of many things.\r\n".encode()
    return head + line * ((SIZE - len(head)) // len(line))


def fill(imap: Imap, mailbox: bytes, count: int) -> None:
    """Append messages, fifty in one command (RFC 3502) without waiting for permission."""
    for start in range(0, count, 50):
        pieces = [b"b APPEND " + mailbox]
        for number in range(start, min(start + 50, count)):
            content = message(number)
            pieces.append(b" {%d+}\r\n%s" % (len(content), content))
        imap.say(b"".join(pieces) + b"\r\n")
        imap.finish(b"b")


def offered(imap: Imap) -> dict[str, bytes]:
    """Those of the `COMMANDS` that the server knows."""
    known = imap.command(b"CAPABILITY").split()
    return {name: text for name, text in COMMANDS.items() if NEEDED.get(name, known[0]) in known}


def repeated(work: Callable[[], object]) -> float:
    """The median of the seconds that it takes."""
    work()
    taken: list[float] = []
    while len(taken) < FEWEST or (sum(taken) < ENOUGH and len(taken) < MOST):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def rate(name: str, seconds: float, count: int = MESSAGES) -> Figure:
    """So many messages in so many seconds."""
    return Figure(name, count / seconds, "messages/s")


class Neighbour:
    """Another connection that says NOOP all the time: how long a command keeps it waiting."""

    def __init__(self, port: int) -> None:
        self._imap = Imap(port, ACCOUNT + 1)
        self._ending = False
        self._thread = threading.Thread(target=self._ask)
        self.longest = 0.0

    def _ask(self) -> None:
        while not self._ending:
            started = time.perf_counter()
            self._imap.command(b"NOOP")
            self.longest = max(self.longest, time.perf_counter() - started)
            time.sleep(0.0005)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join()
        self._imap.socket.close()


def reading(peer: Peer) -> list[Figure]:
    """FETCH, SEARCH, SORT, THREAD, STORE, COPY, SELECT."""
    figures = []
    with Imap(peer.ports["imap"], ACCOUNT) as imap:
        imap.command(b"CREATE Many")
        fill(imap, b"Many", MESSAGES)
        figures.append(_select(imap))
        figures += [
            rate(name, repeated(partial(imap.quick, command)))
            for name, command in offered(imap).items()
        ]
        figures += [_store(imap), _copy(imap)]
    return figures


def unremembered(peer: Peer) -> list[Figure]:
    """Commands after a message has come, and the first time after a start."""
    figures = []
    with Imap(peer.ports["imap"], ACCOUNT) as imap:
        imap.quick(b"SELECT Many")
        wanted = {name: text for name, text in offered(imap).items() if name in UNREMEMBERED}
        for name, command in wanted.items():
            imap.quick(command)
            figures.append(rate(f"{name}, a message later", _later(imap, command)))
    for name, command in wanted.items():
        taken = [_first(peer, command) for _ in range(STARTS)]
        figures.append(rate(f"{name}, first after a start", statistics.median(taken)))
    return figures


def _later(imap: Imap, command: bytes) -> float:
    """The median of the seconds that it takes when a message has come meanwhile."""
    taken = []
    for number in range(9):
        imap.append(b"Many", message(MESSAGES + number))
        imap.quick(b"NOOP")
        imap.quick(b"SEARCH BODY qqqqqq")  # so that either has read what came
        started = time.perf_counter()
        imap.quick(command)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _first(peer: Peer, command: bytes) -> float:
    """The seconds that it takes in a server that has done nothing but SELECT."""
    peer.stop()
    peer.resume()
    with Imap(peer.ports["imap"], ACCOUNT) as imap:
        imap.quick(b"SELECT Many")
        started = time.perf_counter()
        imap.quick(command)
        return time.perf_counter() - started


def _select(imap: Imap) -> Figure:
    def work() -> None:
        imap.quick(b"SELECT Many")

    def away() -> None:
        imap.quick(b"UNSELECT")

    taken = []
    work()
    for _ in range(30):
        away()
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return Figure("SELECT", statistics.median(taken) * 1e3, "ms", more=False)


def _store(imap: Imap) -> Figure:
    ways = [b"+FLAGS", b"-FLAGS"]

    def work() -> None:
        ways.reverse()
        imap.quick(b"STORE 1:* " + ways[1] + b" (\\Flagged)")

    return rate("STORE 1:* ±FLAGS", repeated(work))


def _copy(imap: Imap) -> Figure:
    taken = []
    for number in range(4):
        target = b"Copy%d" % number
        imap.quick(b"CREATE " + target)
        started = time.perf_counter()
        imap.quick(b"COPY 1:* " + target)
        taken.append(time.perf_counter() - started)
    return rate("COPY 1:*", statistics.median(taken[1:]))


def turns(peer: Peer) -> list[Figure]:
    """How long a neighbour waits while each of the commands runs."""
    longest = 0.0
    with Imap(peer.ports["imap"], ACCOUNT) as imap:
        imap.quick(b"SELECT Many")
        for command in offered(imap).values():
            with Neighbour(peer.ports["imap"]) as neighbour:
                for _ in range(3):
                    imap.quick(command)
            longest = max(longest, neighbour.longest)
    return [Figure("longest wait of a neighbour", longest * 1e3, "ms", more=False)]


def logins(peer: Peer) -> list[Figure]:
    """Connect, LOGIN, LOGOUT, one after the other."""

    def work() -> None:
        with Imap(peer.ports["imap"], ACCOUNT) as imap:
            imap.say(b"z LOGOUT\r\n")
            imap.finish(b"z")

    return [Figure("logins, one after the other", 1 / repeated(work), "logins/s")]
