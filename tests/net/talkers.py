"""A session whose protocol is made for tests of conversations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from twisted.internet.defer import Deferred

from mailhub.ports.conversation import Tls


class Talker:
    """Answers each line; ``slow``, ``big N``, ``boom``, ``tls``, ``deflate``, ``bye`` mean more."""

    def __init__(self) -> None:
        self.patience = 300.0
        self.closed = False
        self.wants_tls = False
        self.wants_deflate = False
        self.wake: Callable[[], None] = lambda: None
        self.buffer = b""
        self.unasked: list[bytes] = []
        self.waiting: list[Deferred[None]] = []
        self.tls: list[Tls] = []
        self.closings = 0
        self.on_close: Callable[[], None] = lambda: None
        self.closing: Deferred[None] | None = None  # what its close waits for

    async def greet(self) -> bytes:
        return b"hello\r\n"

    def feed(self, octets: bytes) -> None:
        self.buffer += octets

    async def respond(self) -> AsyncGenerator[bytes, None]:
        while self.unasked:
            yield self.unasked.pop(0)
        while b"\n" in self.buffer and not (self.closed or self.wants_tls or self.wants_deflate):
            line, _, self.buffer = self.buffer.partition(b"\n")
            word, _, rest = line.strip().partition(b" ")
            if word == b"slow":
                self.waiting.append(Deferred())
                try:
                    await self.waiting[-1]
                except LookupError:
                    word = b"none"
            elif word == b"boom":
                raise ValueError(rest)
            elif word == b"big":
                for _ in range(int(rest)):
                    yield b"x" * 60_000
            elif word == b"tls":
                self.wants_tls = True
            elif word == b"deflate":
                self.wants_deflate = True
            elif word == b"bye":
                self.closed = True
            yield word + b"\r\n"

    def secured(self, tls: Tls) -> None:
        self.tls.append(tls)
        self.wants_tls = False
        self.closed = self.closed or bool(self.buffer)

    def timed_out(self) -> bytes:
        return b"too slow\r\n"

    def going_down(self) -> bytes:
        return b"going down\r\n"

    async def close(self) -> None:
        if self.closing is not None:
            await self.closing
        self.closings += 1
        self.on_close()


class Staged(Talker):
    """One whose patience is for stages: each answered line is one."""

    stage = 0
    lifetime = 1000.0

    async def respond(self) -> AsyncGenerator[bytes, None]:
        async for octets in Talker.respond(self):
            self.stage += 1
            yield octets
