"""POP3's commands: the values, and their grammar (RFC 1939 §9, RFC 2449 §4).

Verbs are read without regard to case.  Arguments stay octets where the client
chooses them freely; message numbers are numbers, and whether there is such a
message is the session's to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final


class Err(Exception):
    """We will not do what was asked: ``-ERR``, with a response code or without.

    Attributes:
        code: ``""``, or what goes in brackets (RFC 2449 §8): ``IN-USE``, ``AUTH``,
            ``SYS/TEMP`` or ``SYS/PERM`` (RFC 3206 §4, §5).
    """

    def __init__(self, text: str, code: str = "") -> None:
        self.code = code
        self.text = text
        super().__init__(text)

    def __bytes__(self) -> bytes:
        code = f"[{self.code}] " if self.code else ""
        return f"-ERR {code}{self.text}\r\n".encode()


class Garbled(Err):
    """What was said is no command: it counts against the peer."""


@dataclass(frozen=True, slots=True)
class User:
    """USER: a name, to be followed by PASS (RFC 1939 §7)."""

    name: str


@dataclass(frozen=True, slots=True)
class Pass:
    """PASS: all of the line is the password, blanks included (RFC 1939 §7)."""

    password: str


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH (RFC 5034 §4).

    Attributes:
        mechanism: In capitals; ``""`` asks for the list, as old clients do.
        response: The initial response, in base64, ``=`` for an empty one.
    """

    mechanism: str
    response: bytes | None


@dataclass(frozen=True, slots=True)
class Stls:
    """STLS (RFC 2595 §4)."""


@dataclass(frozen=True, slots=True)
class Capa:
    """CAPA (RFC 2449 §5)."""


@dataclass(frozen=True, slots=True)
class Utf8:
    """UTF8 (RFC 6856 §2.1)."""


@dataclass(frozen=True, slots=True)
class Lang:
    """LANG with a language range, ``""`` for the list (RFC 6856 §3.2)."""

    range: str


@dataclass(frozen=True, slots=True)
class Stat:
    """STAT (RFC 1939 §5)."""


@dataclass(frozen=True, slots=True)
class List:
    """LIST of one message, or of all (RFC 1939 §5)."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Uidl:
    """UIDL of one message, or of all (RFC 1939 §7)."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retr:
    """RETR (RFC 1939 §5)."""

    number: int


@dataclass(frozen=True, slots=True)
class Top:
    """TOP: the header and so many lines of the body (RFC 1939 §7)."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class Dele:
    """DELE (RFC 1939 §5)."""

    number: int


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP (RFC 1939 §5)."""


@dataclass(frozen=True, slots=True)
class Rset:
    """RSET (RFC 1939 §5)."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT (RFC 1939 §4, §6)."""


Always = Capa | Lang | Quit
"""What both states allow (RFC 2449 §5, RFC 6856 §3.2, RFC 1939 §4)."""
Authorization = User | Pass | Auth | Stls | Utf8
"""What the AUTHORIZATION state allows (RFC 1939 §4, RFC 5034 §4, RFC 2595 §4, RFC 6856 §2.1)."""
Transaction = Stat | List | Uidl | Retr | Top | Dele | Noop | Rset
"""What the TRANSACTION state allows (RFC 1939 §5)."""
Command = Always | Authorization | Transaction

# keyword = 3*4VCHAR; the octets after the first space are the argument     (RFC 2449 §4)
_LINE: Final = re.compile(rb"([A-Za-z0-9]{3,16})(?: (.*))?", re.DOTALL)
_NUMBER: Final = re.compile(rb"[0-9]{1,200}")
# auth-command = "AUTH" SP sasl-mech [SP initial-response]                  (RFC 5034 §8)
_AUTH: Final = re.compile(rb"([A-Za-z0-9_-]{1,20})(?: +([^ ]+))?")
# language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*"                      (RFC 4647 §2.1)
_RANGE: Final = re.compile(rb"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,8}")


def parse(line: bytes) -> Command:
    """Read a command line, without its line end.

    Raises:
        Garbled: It is none.
    """
    found = _LINE.fullmatch(line)
    read = _GRAMMAR.get(found[1].upper()) if found else None
    if found is None or read is None:
        raise Garbled("Unknown command")
    return read(found[2] or b"")


def _user(argument: bytes) -> Command:
    name = _text(argument).strip(" ")
    if not name:
        raise Garbled("USER wants a name")
    return User(name)


def _auth(argument: bytes) -> Command:
    if not argument.strip(b" "):
        return Auth("", None)
    found = _AUTH.fullmatch(argument.strip(b" "))
    if found is None:
        raise Garbled("AUTH wants a mechanism")
    return Auth(found[1].decode().upper(), found[2])


def _lang(argument: bytes) -> Command:
    stripped = argument.strip(b" ")
    if stripped and not _RANGE.fullmatch(stripped):
        raise Garbled("LANG wants a language")
    return Lang(stripped.decode())


def _top(argument: bytes) -> Command:
    number, lines = _numbers(argument, 2)
    return Top(number, lines)


def _one(command: Callable[[int], Command]) -> Callable[[bytes], Command]:
    return lambda argument: command(_numbers(argument, 1)[0])


def _perhaps(command: Callable[[int | None], Command]) -> Callable[[bytes], Command]:
    def read(argument: bytes) -> Command:
        return command(_numbers(argument, 1)[0] if argument.strip(b" ") else None)

    return read


def _bare(command: Command) -> Callable[[bytes], Command]:
    """A command without an argument; one that is there all the same is passed over."""
    return lambda _: command


def _numbers(argument: bytes, count: int) -> list[int]:
    words = argument.split()
    if len(words) != count or not all(map(_NUMBER.fullmatch, words)):
        raise Garbled(
            "A message number was expected" if count == 1 else "Two numbers were expected"
        )
    return [int(word) for word in words]


def _text(argument: bytes) -> str:
    """Names and passwords are UTF-8, whether UTF8 was said or not (RFC 6856 §2.2)."""
    try:
        return argument.decode()
    except UnicodeDecodeError:
        raise Garbled("Names and passwords are UTF-8") from None


_GRAMMAR: Final[Mapping[bytes, Callable[[bytes], Command]]] = {
    b"USER": _user,
    b"PASS": lambda argument: Pass(_text(argument)),
    b"AUTH": _auth,
    b"STLS": _bare(Stls()),
    b"CAPA": _bare(Capa()),
    b"UTF8": _bare(Utf8()),
    b"LANG": _lang,
    b"STAT": _bare(Stat()),
    b"LIST": _perhaps(List),
    b"UIDL": _perhaps(Uidl),
    b"RETR": _one(Retr),
    b"TOP": _top,
    b"DELE": _one(Dele),
    b"NOOP": _bare(Noop()),
    b"RSET": _bare(Rset()),
    b"QUIT": _bare(Quit()),
}
