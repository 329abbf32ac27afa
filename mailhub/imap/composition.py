"""What an APPEND is composed of: messages, each one literal or catenated of several pieces.

The client's text between two literals is read in one go, by itself: it ends where the next
literal is announced, or with the command.  What it asks for are steps, in order.

``append = "APPEND" SP mailbox 1*append-message`` (RFC 3502 §6.3.11)
``append-message = [SP flag-list] [SP date-time] SP append-data`` (RFC 4466 §2.6.2)
``append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" /
"CATENATE" SP "(" cat-part *(SP cat-part) ")"`` (RFC 3516 §7, RFC 6855 §4, RFC 4469 §5)
``cat-part = "URL" SP astring / "TEXT" SP literal`` (RFC 4469 §5)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad


@dataclass(frozen=True, slots=True)
class Begun:
    """A message begins."""

    flags: tuple[str, ...] = ()
    internal_date: int | None = None


@dataclass(frozen=True, slots=True)
class Url:
    """What a URL names goes on with the message."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The message is whole."""


Step = Begun | Url | Ended


class Literal(Enum):
    """What the literal is that comes next."""

    NONE = "none"
    """The command has ended."""
    MESSAGE = "message"
    UTF8 = "utf8"
    TEXT = "text"
    URL = "url"
    """To be read with the text around it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The steps that a stretch of text asks for, and the literal that it ends in."""

    steps: tuple[Step, ...]
    literal: Literal


_ENDED: Final = Ended()


class Parser:
    """Reads one stretch.

    Args:
        tokens: The text, and the literals of URLs in it.
        flags: Reads a list of flags.
    """

    def __init__(self, tokens: Tokens, flags: Callable[[Tokens], tuple[str, ...]]) -> None:
        self._tokens = tokens
        self._flags = flags
        self._steps: list[Step] = []

    def stretch(self, after: Literal) -> Stretch:
        """The stretch behind a literal of that kind; NONE is the mailbox's name.

        Raises:
            Bad: It does not parse.
        """
        tokens = self._tokens
        if after is Literal.UTF8:
            tokens.expect(b")")
        literal = Literal.NONE
        if after is Literal.TEXT:
            literal = self._parts(first=False)
        elif after is not Literal.NONE:
            self._steps.append(_ENDED)
        if tokens.ended and not self._steps:
            raise Bad("APPEND without a message literal")
        while literal is Literal.NONE and not tokens.ended:
            literal = self._message()
        return Stretch(tuple(self._steps), literal)

    def _message(self) -> Literal:
        """A message up to the literal that comes next; NONE if it is whole."""
        tokens = self._tokens
        tokens.space()
        flags: tuple[str, ...] = ()
        if tokens.next_is(b"("):
            flags = self._flags(tokens)
            tokens.space()
        moment = None
        if tokens.next_is(b'"'):
            moment = tokens.date_time()
            tokens.space()
        self._steps.append(Begun(flags, moment))
        if tokens.at_message:
            return Literal.MESSAGE
        if tokens.maybe_word("UTF8"):
            tokens.space()
            tokens.expect(b"(")
            if not tokens.at_message:
                raise Bad("Expected a literal")
            return Literal.UTF8
        if not tokens.maybe_word("CATENATE"):
            raise Bad("Expected a literal")
        tokens.space()
        tokens.expect(b"(")
        return self._parts(first=True)

    def _parts(self, *, first: bool) -> Literal:
        """Pieces up to the literal that comes next; NONE if the message is whole."""
        tokens = self._tokens
        while first or not tokens.maybe(b")"):
            if not first:
                tokens.space()
            first = False
            if tokens.maybe_word("TEXT"):
                tokens.space()
                if not tokens.at_message:
                    raise Bad("Expected a literal")
                return Literal.TEXT
            if not tokens.maybe_word("URL"):
                raise Bad("Expected URL or TEXT")
            tokens.space()
            if tokens.at_last_announcement:
                return Literal.URL
            self._steps.append(Url(tokens.astring()))
        self._steps.append(_ENDED)
        return Literal.NONE
