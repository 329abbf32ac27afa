"""What many tests need: coroutines run without a loop, a disk without threads, dialogue files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

DIALOGUES = Path(__file__).parent / "dialogues"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise AssertionError("the coroutine waits for something")


async def hear(answers: AsyncIterator[bytes]) -> bytes:
    """All that a session answers."""
    return b"".join([octets async for octets in answers])


class InlineDisk:
    """A `ports.disk.Disk` that works at once, on the caller's thread."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    brief = run

    def lock(self) -> AbstractAsyncContextManager[None]:
        return _Free()


class _Free(AbstractAsyncContextManager[None]):
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


class Talker(Protocol):
    """The part of `ports.conversation.Session` that a dialogue needs."""

    async def greet(self) -> bytes: ...
    def feed(self, octets: bytes) -> None: ...
    def respond(self) -> AsyncIterator[bytes]: ...


def dialogues(protocol: str) -> list[Path]:
    """The dialogue files of a protocol."""
    return sorted((DIALOGUES / protocol).glob("*.txt"))


def turns(path: Path) -> list[tuple[str, str]]:
    r"""Pairs of (``"C"`` or ``"S"``, text) of a dialogue file.

    A line ``C: text`` is sent with CR LF behind it; ``C- text`` without;
    ``\r \n \xhh \\`` mean what they do in Python. A line ``S: text`` is
    expected; ``…`` in it stands for anything, and where the line ends in ``…``
    or is a bare code the rest of the line is free. ``#`` begins a comment.
    """
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        kind, text = line[:2], line[3:]
        if kind in ("C:", "C-"):
            raw = text.encode().decode("unicode_escape") if "\\" in text else text
            found.append(("C", raw + ("\r\n" if kind == "C:" else "")))
        elif kind == "S:":
            found.append(("S", text))
        else:
            raise ValueError(f"{path}: {line!r}")
    return found


def expression(text: str) -> re.Pattern[str]:
    """What a server's line must look like."""
    pattern = ".*".join(re.escape(piece) for piece in text.split("…"))
    return re.compile(pattern + (".*" if re.fullmatch(r"\d{3}[ -]?(\d\.\d+\.\d+)?", text) else ""))


def cuts(client: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """One client's octets, as three networks would deliver them."""
    yield "at once", [client]
    yield "line by line", client.splitlines(keepends=True)
    yield "octet by octet", [client[i : i + 1] for i in range(len(client))]


def replay(path: Path, make: Callable[[], Talker]) -> None:
    """Check a dialogue under the three cuts; what is said must be the same each time."""
    script = turns(path)
    client = "".join(text for who, text in script if who == "C")
    octets = client.encode("utf-8", "surrogateescape")
    expected = [expression(text) for who, text in script if who == "S"]
    for cut, arrivals in cuts(octets):
        session = make()
        heard = run(session.greet())
        for piece in arrivals:
            session.feed(piece)
            heard += run(hear(session.respond()))
        lines = heard.decode("utf-8", "replace").split("\r\n")[:-1]
        for number, line in enumerate(lines):
            where = f"{path.name}, {cut}, answer {number + 1}"
            assert number < len(expected), f"{where}: unexpected {line!r}"
            wanted = expected[number]
            assert wanted.fullmatch(line), f"{where}: {line!r} is not {wanted.pattern!r}"
        assert len(lines) == len(expected), f"{path.name}, {cut}: {len(lines)} answers: {lines}"
