"""The load: plain blocking clients, as cheap as Python can make them, and Postfix's smtp-source."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from typing import Self

from bench.peers import PASSWORD, address, client_context
from bench.postfix import search_path


class Line:
    """A connection that sends octets and waits for whole lines."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        plain = socket.create_connection(("127.0.0.1", port), 60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket | ssl.SSLSocket = (
            client_context().wrap_socket(plain, server_hostname="localhost") if tls else plain
        )
        self._buffer = b""
        self.greeting = self.line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def line(self) -> bytes:
        """The next line, with its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
        return line

    def until(self, mark: bytes) -> bytes:
        """All that comes, up to and with `mark`."""
        searched = 0
        while (found := self._buffer.find(mark, max(0, searched - len(mark)))) < 0:
            searched = len(self._buffer)
            self._more()
        end = found + len(mark)
        heard, self._buffer = self._buffer[:end], self._buffer[end:]
        return heard

    def _more(self) -> None:
        octets = self.socket.recv(1 << 18)
        if not octets:
            raise ConnectionError("the server hung up")
        self._buffer += octets

    def say(self, octets: bytes) -> None:
        """Send."""
        self.socket.sendall(octets)


class Imap(Line):
    """An IMAP connection, logged in."""

    def __init__(self, port: int, account: int = 0, *, tls: bool = False) -> None:
        super().__init__(port, tls=tls)
        self._tag = 0
        self.command(f"LOGIN {address(account)} {PASSWORD}".encode())

    def command(self, text: bytes) -> bytes:
        """Send a command; all that is said up to its tagged OK."""
        self._tag += 1
        tag = b"a%d" % self._tag
        self.say(tag + b" " + text + b"\r\n")
        return self.finish(tag)

    def quick(self, text: bytes) -> int:
        """Send a command; how many octets were said up to its tagged OK, which are not kept."""
        self._tag += 1
        tag = b"q%dq" % self._tag
        self.say(tag + b" " + text + b"\r\n")
        end, count, tail = b"\r\n" + tag + b" ", 0, b"\r\n" + self._buffer
        self._buffer = b""
        while (found := tail.find(end)) < 0:
            kept = tail[-len(end) :]
            octets = self.socket.recv(1 << 20)
            if not octets:
                raise ConnectionError("the server hung up")
            count += len(octets)
            tail = kept + octets
        self._buffer = tail[found + len(end) :]
        result = self.line()
        if not result.startswith(b"OK"):
            raise RuntimeError(f"{text!r}: {result!r}")
        return count

    def finish(self, tag: bytes) -> bytes:
        """Wait for the tagged response, which must be OK."""
        heard = self.until(tag + b" ")
        result = self.line()
        if not result.startswith(b"OK"):
            raise RuntimeError(f"{tag!r}: {result!r}")
        return heard

    def messages(self, mailbox: bytes = b"INBOX") -> int:
        """How many messages a mailbox holds."""
        heard = self.command(b"STATUS " + mailbox + b" (MESSAGES)")
        return int(heard.split(b"(MESSAGES ")[1].split(b")")[0])

    def append(self, mailbox: bytes, message: bytes) -> None:
        """APPEND one message with a synchronising literal."""
        self._tag += 1
        tag = b"a%d" % self._tag
        self.say(tag + b" APPEND " + mailbox + b" {%d}\r\n" % len(message))
        line = self.line()
        if not line.startswith(b"+"):
            raise RuntimeError(repr(line))
        self.say(message + b"\r\n")
        self.finish(tag)


class Pop(Line):
    """A POP3 connection, logged in."""

    def __init__(self, port: int, account: int = 0) -> None:
        super().__init__(port)
        self.command(b"USER " + address(account).encode())
        self.command(b"PASS " + PASSWORD.encode())

    def command(self, text: bytes) -> bytes:
        """Send a command; its first line, which must be +OK."""
        self.say(text + b"\r\n")
        line = self.line()
        if not line.startswith(b"+OK"):
            raise RuntimeError(f"{text!r}: {line!r}")
        return line

    def retrieve(self, number: int) -> bytes:
        """RETR one message."""
        self.say(b"RETR %d\r\n" % number)
        return self.until(b"\r\n.\r\n")


def message(size: int) -> bytes:
    """A plain message of about `size` octets."""
    head = (
        b"From: Sender <sender@elsewhere.example>\r\nTo: Reader <reader@bench.example>\r\n"
        b"Subject: The quick brown fox\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <bench@elsewhere.example>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    line = b"The quick brown fox jumps over the lazy dog, and over the fence.\r\n"
    return head + line * ((size - len(head)) // len(line))


def source(
    port: int, *, sessions: int, messages: int, size: int, to: str, kept: bool = True
) -> float:
    """Send with Postfix's smtp-source; the seconds until its last 250.

    Its connections are `kept` for the next message, or each message has its own.
    """
    program = shutil.which("smtp-source", path=search_path())
    assert program
    command = [program, "-s", str(sessions), "-m", str(messages), "-l", str(size)]
    command += ["-d"] if kept else []
    command += ["-f", "sender@elsewhere.example", "-t", to, f"inet:127.0.0.1:{port}"]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def send(smtp: Line, to: str, content: bytes) -> None:
    """One message over an open SMTP connection, command by command, to its 250."""
    for command in (b"MAIL FROM:<sender@elsewhere.example>", b"RCPT TO:<%s>" % to.encode()):
        smtp.say(command + b"\r\n")
        _expect(smtp.line(), b"250")
    smtp.say(b"DATA\r\n")
    _expect(smtp.line(), b"354")
    smtp.say(content + b".\r\n")
    _expect(smtp.line(), b"250")


def greet(smtp: Line) -> None:
    """EHLO, and its answer read to the end."""
    smtp.say(b"EHLO bench.client.example\r\n")
    while smtp.line()[3:4] == b"-":
        pass


def _expect(line: bytes, code: bytes) -> None:
    if not line.startswith(code):
        raise RuntimeError(repr(line))
