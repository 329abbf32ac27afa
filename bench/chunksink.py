"""A sink that takes chunks (RFC 3030), which Postfix's smtp-sink does not: counts, keeps nothing.

    python -m bench.chunksink PORT MESSAGES

listens on 127.0.0.1 until it has taken so many messages, by BDAT or by DATA.
"""

from __future__ import annotations

import asyncio
import sys

EHLO = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
OK = b"250 2.0.0 Ok\r\n"
REPLIES = {b"HELO": OK, b"MAIL": OK, b"RCPT": OK, b"RSET": OK, b"NOOP": OK, b"EHLO": EHLO}


class Sink:
    """All connections of one sink."""

    def __init__(self, messages: int) -> None:
        self._left = messages
        self.done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk on one connection."""
        writer.write(b"220 sink.example ESMTP\r\n")
        try:
            while line := await reader.readline():
                verb, *words = line.split()
                if verb == b"QUIT":
                    writer.write(b"221 2.0.0 Bye\r\n")
                    break
                if verb == b"BDAT":
                    await reader.readexactly(int(words[0]))
                    self._taken(writer, last=len(words) > 1)
                elif verb == b"DATA":
                    writer.write(b"354 Go ahead\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    self._taken(writer, last=True)
                else:
                    writer.write(REPLIES.get(verb, b"500 5.5.1 What?\r\n"))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asks whether it is up just hangs up; and at the end all are cut off
        writer.close()

    def _taken(self, writer: asyncio.StreamWriter, *, last: bool) -> None:
        writer.write(OK)
        self._left -= last
        if self._left <= 0:
            self.done.set()


async def run(port: int, messages: int) -> None:
    """Serve until all have come."""
    sink = Sink(messages)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", port, backlog=1000)
    async with server:
        await sink.done.wait()
        await asyncio.sleep(0)  # so that the last reply leaves


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))
