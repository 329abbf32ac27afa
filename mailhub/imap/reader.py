"""Cuts IMAP's byte stream into commands, with their literals.

A command is lines of text with literals between them (RFC 3501 §4.3).  The
reader finds the ends; what to do with a literal that is announced is decided by
the session, which knows the command: `take` it into the command, `stream` it
(APPEND's message, handed on piece by piece), or `refuse` the command.

Invariants:

1. Memory is bounded by `line_limit` and `command_limit` plus one read, whatever
   the peer sends: a message's literal is never held, and what is refused is
   dropped as it arrives.
2. What is read depends on the octets, never on how they were cut on arrival.
3. After a refusal the reader stands at the beginning of the next command: a
   client that does not wait for permission (RFC 7888 §4) stays in step.

A line may end in a bare LF, as Dovecot accepts; a length tells where a literal
ends, so that two readings of a command cannot differ in a way that matters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailhub.imap.response import Bad, Condition

# literal = "{" number ["+" / "-"] "}" CRLF *CHAR8      (RFC 3501 §9, RFC 7888 §8)
_ANNOUNCEMENT: Final = re.compile(rb"\{([0-9]{1,10})(\+?)\}\Z")
# tag = 1*<any ASTRING-CHAR except "+">                                     (RFC 3501 §9)
_TAG: Final = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,255}(?=[ ]|\Z)")
_TAIL: Final = 16
"""Octets kept of a line that is being dropped: enough for an announcement at its end."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole command: text, literal, text, … ; texts still end in their announcements."""

    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Announced:
    """A literal is to come, and the session must decide.

    Attributes:
        parts: The command so far; the last text ends in the announcement.
        size: Of the literal, octets.
        waiting: The client waits for a continuation request.
    """

    parts: tuple[bytes, ...]
    size: int
    waiting: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that was refused has gone by, to its last octet."""

    tag: bytes
    why: Condition


def tag_of(text: bytes) -> bytes:
    """The tag at the beginning of a command; ``*`` where there is none."""
    found = _TAG.match(text)
    return found[0] if found else b"*"


class Reader:
    """One connection's octets.

    Attributes:
        line_limit: Octets of one line of text.
        command_limit: Octets of a command with the literals taken into it.
    """

    __slots__ = (
        "_announced", "_buffer", "_held", "_missing", "_parts", "_refusal", "_scanned",
        "_settled", "command_limit", "line_limit",
    )  # fmt: skip

    def __init__(self, line_limit: int, command_limit: int) -> None:
        self.line_limit = line_limit
        self.command_limit = command_limit
        self._buffer = bytearray()
        self._scanned = 0  # no LF before this place
        self._parts: list[bytes] = []
        self._held = 0  # octets in _parts
        self._announced: Announced | None = None
        self._missing = 0  # octets of the literal under way that have not been read
        self._refusal: Refused | None = None  # why the command at hand is being dropped
        self._settled: Refused | None = None  # a refusal whose command has gone by

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived."""
        self._buffer += octets

    @property
    def empty(self) -> bool:
        """Whether everything that arrived has been read, and no command is half read."""
        return not self._buffer and not self._parts and not self._missing

    def next(self) -> Request | Announced | Refused | None:
        """The next thing to act on; None while it has not arrived.

        After `Announced` one of `take`, `stream` and `refuse` must be called.
        """
        while self._settled is None:
            if self._missing and not self._literal():
                return None
            line = self._line()
            if line is None:
                return None
            self._check_held(line)
            found = _ANNOUNCEMENT.search(line)
            if found is None:
                return self._end(line)
            size, waiting = int(found[1]), not found[2]
            if self._refusal is None:
                self._parts.append(line)
                self._announced = Announced(tuple(self._parts), size, waiting)
                return self._announced
            # Amid a refusal: whoever waits for permission sends nothing more of
            # this command (RFC 3501 §7.5), whoever does not sends the literal.
            if waiting:
                return self._end(line)
            self._missing = size
        settled, self._settled = self._settled, None
        return settled

    def take(self) -> None:
        """Make the announced literal part of the command."""
        self._missing = self._decided().size
        if not self._missing:
            self._parts.append(b"")

    def stream(self) -> None:
        """Hand the announced literal on by `piece`; a new line of the command follows it."""
        self._missing = self._decided().size
        self._reset()

    def refuse(self, tag: bytes, why: Condition) -> None:
        """Drop the command: `next` gives `Refused` when it has gone by."""
        announced = self._decided()
        self._reset()
        if announced.waiting:
            self._settled = Refused(tag, why)
        else:
            self._refusal = Refused(tag, why)
            self._missing = announced.size

    def piece(self) -> bytes | None:
        """More of the streamed literal; ``b""`` at its end, None while nothing has arrived."""
        if not self._missing:
            return b""
        size = min(self._missing, len(self._buffer))
        self._missing -= size
        return self._cut(size) if size else None

    def line(self) -> bytes | None:
        """A line that is not a command, without its end; None while it is not whole.

        Raises:
            Bad: A line longer than `line_limit` has gone by.
        """
        line = self._line()
        refusal = self._refusal
        if line is not None and refusal is not None:
            self._refusal = None
            raise refusal.why
        return line

    def _line(self) -> bytes | None:
        """The next line; of one that is being dropped, perhaps only its end."""
        end = self._buffer.find(b"\n", self._scanned)
        if (end if end >= 0 else len(self._buffer)) > self.line_limit and not self._refusal:
            start = self._parts[0] if self._parts else bytes(self._buffer[: self.line_limit])
            self._refusal = Refused(tag_of(start), Bad("Command line too long"))
        if end < 0:
            if self._refusal is not None:
                del self._buffer[:-_TAIL]
            self._scanned = len(self._buffer)
            return None
        self._scanned = 0
        return self._cut(end + 1)[:-1].removesuffix(b"\r")

    def _check_held(self, line: bytes) -> None:
        self._held += len(line)
        if self._held > self.command_limit and self._refusal is None:
            start = self._parts[0] if self._parts else line
            self._refusal = Refused(tag_of(start), Bad("Command too long"))

    def _literal(self) -> bool:
        """Take or drop the literal under way; tell whether all of it has arrived."""
        if self._refusal is not None:
            size = min(self._missing, len(self._buffer))
            self._cut(size)
            self._missing -= size
            return not self._missing
        if len(self._buffer) < self._missing:
            return False
        self._parts.append(self._cut(self._missing))
        self._held += self._missing
        self._missing = 0
        return True

    def _cut(self, size: int) -> bytes:
        octets = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._scanned = 0
        return octets

    def _decided(self) -> Announced:
        announced, self._announced = self._announced, None
        assert announced is not None
        return announced

    def _end(self, line: bytes) -> Request | Refused:
        ended = self._refusal or Request((*self._parts, line))
        self._refusal = None
        self._reset()
        return ended

    def _reset(self) -> None:
        self._parts.clear()
        self._held = 0
