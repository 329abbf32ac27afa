"""Tokens of IMAP commands (RFC 3501 §9), read from left to right in linear time.

A `Tokens` walks over the parts of one command: text, literal, text, … as the
reader cut them.  Each method takes one token or raises `Bad`, or `No` with LIMIT
(RFC 5530 §3) where that is more than we allow; methods named
``maybe_…`` return None instead and stay where they are.  Values are octets:
only who knows what a string means can know its charset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from mailhub.imap import sequence
from mailhub.imap.response import Bad, No
from mailhub.imap.sequence import SAVED, SequenceSet
from mailhub.mail.date import parse_internal, parse_search

T = TypeVar("T")

# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
_ATOM: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING_ATOM: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
# list-mailbox = 1*list-char / string; list-char = ATOM-CHAR / list-wildcards / resp-specials
_LIST_ATOM: Final = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
# quoted = DQUOTE *QUOTED-CHAR DQUOTE; octets above 127 are met (and legal in RFC 9051 §9)
_QUOTED: Final = re.compile(rb'"((?:[^"\\\x00\r\n]|\\["\\])*)"')
_ESCAPED: Final = re.compile(rb'\\(["\\])')
_ANNOUNCEMENT: Final = re.compile(rb"\{[0-9]+\+?\}\Z")
_MESSAGE: Final = re.compile(rb"~?\{[0-9]+\+?\}\Z")
_NUMBER: Final = re.compile(rb"[0-9]{1,10}(?![0-9])")
_NUMBER64: Final = re.compile(rb"[0-9]{1,19}(?![0-9])")
_NIL: Final = re.compile(rb"NIL(?![!#-'+-\[\]-z|}~])", re.IGNORECASE)
# flag = "\\" atom / atom                                                   (RFC 3501 §9)
_FLAG: Final = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
# date = date-text / DQUOTE date-text DQUOTE                                (RFC 3501 §9)
_DATE: Final = re.compile(rb'("?)([0-9]{1,2}-[A-Za-z]{3}-[0-9]{4})\1')
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME: Final = re.compile(rb'"([^"\\]{20,32})"')
_SET_BEGINS: Final = frozenset(b"%c" % octet for octet in b"123456789*$")


class Tokens:
    """The unread rest of a command."""

    __slots__ = ("_part", "_parts", "_place", "_text")

    def __init__(self, parts: Sequence[bytes]) -> None:
        self._parts = parts
        self._part = 0
        self._text = parts[0]
        self._place = 0

    # ---- Punctuation ----

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Take what `pattern` matches here, if it does."""
        found = pattern.match(self._text, self._place)
        if found is not None:
            self._place = found.end()
        return found

    def maybe(self, mark: bytes) -> bool:
        """Take `mark` if it is next."""
        if self._text.startswith(mark, self._place):
            self._place += len(mark)
            return True
        return False

    def expect(self, mark: bytes) -> None:
        """Take `mark`."""
        if not self.maybe(mark):
            raise Bad(f"Expected {mark.decode()!r}")

    def space(self) -> None:
        """Take a space."""
        if not self.maybe(b" "):
            raise Bad("Expected a space")

    def next_is(self, mark: bytes) -> bool:
        """Whether `mark` comes next."""
        return self._text.startswith(mark, self._place)

    @property
    def rest(self) -> bytes:
        """What is unread of the present text."""
        return self._text[self._place :]

    @property
    def next_is_set(self) -> bool:
        """Whether a sequence set comes next."""
        return self._text[self._place : self._place + 1] in _SET_BEGINS

    @property
    def ended(self) -> bool:
        """Whether all has been read."""
        return self._place == len(self._text) and self._part == len(self._parts) - 1

    @property
    def at_last_announcement(self) -> bool:
        """Whether all that is left is the announcement of a literal that is not here yet."""
        last = self._part == len(self._parts) - 1
        return last and _ANNOUNCEMENT.match(self._text, self._place) is not None

    @property
    def at_message(self) -> bool:
        """Likewise, of one that may hold NUL: a message's (RFC 3516 §7 literal8)."""
        last = self._part == len(self._parts) - 1
        return last and _MESSAGE.match(self._text, self._place) is not None

    def end(self) -> None:
        """Nothing may follow. A single space at the end is forgiven: clients send it."""
        self.maybe(b" ")
        if not self.ended:
            raise Bad("Unexpected argument")

    # ---- Strings ----

    def atom(self) -> bytes:
        """An atom."""
        found = self.match(_ATOM)
        if found is None:
            raise Bad("Expected an atom")
        return found[0]

    def keyword(self) -> str:
        """An atom that is a word of the protocol, in capitals."""
        return self.atom().decode("ascii").upper()

    def word_is(self, word: str) -> bool:
        """Whether this word of the protocol comes next."""
        found = _ATOM.match(self._text, self._place)
        return found is not None and found[0].upper() == word.encode()

    def maybe_word(self, word: str) -> bool:
        """Take this word of the protocol if it is next."""
        if not self.word_is(word):
            return False
        self._place += len(word)
        return True

    def maybe_string(self, *, binary: bool = False) -> bytes | None:
        """A quoted string or a literal, which may hold NUL if it is `binary`."""
        found = self.match(_QUOTED)
        if found is not None:
            return _ESCAPED.sub(rb"\1", found[1])
        if _ANNOUNCEMENT.match(self._text, self._place) is None:
            return None
        if self._part + 2 >= len(self._parts):
            return None  # announced, and not here yet
        octets = self._parts[self._part + 1]
        if b"\0" in octets and not binary:  # CHAR8 = %x01-ff                      (RFC 3501 §9)
            raise Bad("NUL in a literal")
        self._part += 2
        self._text = self._parts[self._part]
        self._place = 0
        return octets

    def string(self) -> bytes:
        """A quoted string or a literal."""
        found = self.maybe_string()
        if found is None:
            raise Bad("Expected a string")
        return found

    def astring(self) -> bytes:
        """An atom (in which ``]`` is allowed) or a string."""
        found = self.match(_ASTRING_ATOM)
        return found[0] if found is not None else self.string()

    def list_mailbox(self) -> bytes:
        """A mailbox name with wildcards."""
        found = self.match(_LIST_ATOM)
        return found[0] if found is not None else self.string()

    def maybe_nil(self) -> bool:
        """Take NIL if it is next."""
        return self.match(_NIL) is not None

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        return None if self.maybe_nil() else self.string()

    def nstring8(self) -> bytes | None:
        """A string or a literal8, or None for NIL (RFC 5464 §5 value)."""
        if self.maybe_nil():
            return None
        found = self.maybe_string(binary=self.maybe(b"~"))
        if found is None:
            raise Bad("Expected a string or NIL")
        return found

    # ---- Numbers and dates ----

    def number(self) -> int:
        """A number of 32 bits."""
        return self._integer(_NUMBER, 2**32 - 1)

    def number64(self) -> int:
        """A number of 63 bits (RFC 9051 §9 number64)."""
        return self._integer(_NUMBER64, 2**63 - 1)

    def nz_number(self) -> int:
        """A number of 32 bits, not 0."""
        number = self.number()
        if not number:
            raise Bad("Expected a number above 0")
        return number

    def sequence_set(self, limit: int) -> SequenceSet:
        """A set of sequence numbers or UIDs, of `limit` ranges at most."""
        if self.maybe(b"$"):  # seq-last-command: what the last search found   (RFC 5182 §2)
            return SAVED
        found = self.match(sequence.SEQUENCE_SET)
        if found is None:
            raise Bad("Expected a sequence set")
        try:
            return sequence.parse(found[0], limit)
        except ValueError as why:
            raise Bad(f"Sequence set: {why}") from None
        except OverflowError:
            raise No(f"A set may have {limit} ranges", "LIMIT") from None

    def date(self) -> int:
        """A date, as days since 1970-01-01."""
        found = self.match(_DATE)
        days = parse_search(found[2].decode()) if found is not None else None
        if days is None:
            raise Bad("Expected a date such as 1-Feb-2026")
        return days

    def date_time(self) -> int:
        """A moment, as seconds since the epoch."""
        found = self.match(_DATE_TIME)
        # A day of one digit without its space is met.
        moment = parse_internal(found[1].decode("latin-1").rjust(26)) if found else None
        if moment is None:
            raise Bad('Expected a date such as " 1-Feb-2026 12:00:00 +0000"')
        return moment.seconds

    # ---- Lists ----

    def parenthesised(self, item: Callable[[], T], limit: int, *, empty: bool = False) -> list[T]:
        """``"(" item *(SP item) ")"``, of `limit` items at most."""
        self.expect(b"(")
        found: list[T] = []
        if empty and self.maybe(b")"):
            return found
        found.append(item())
        while not self.maybe(b")"):
            self.space()
            if len(found) >= limit:
                raise No(f"A list may have {limit} items", "LIMIT")
            found.append(item())
        return found

    def flag(self) -> str:
        """A flag or keyword, as it was given."""
        found = self.match(_FLAG)
        if found is None:
            raise Bad("Expected a flag")
        return found[0].decode("ascii")

    def _integer(self, pattern: re.Pattern[bytes], highest: int) -> int:
        found = self.match(pattern)
        if found is None or int(found[0]) > highest:
            raise Bad("Expected a number")
        return int(found[0])
