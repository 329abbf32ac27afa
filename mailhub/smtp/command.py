"""SMTP's commands: a line becomes a value, or a refusal.

Not here: whether a command is allowed now, and what it does; `session` knows.

Invariants:

1. A value that comes out holds no control characters: nothing a client says
   can break a line of a reply, a header field or a log.
2. A line means the same wherever it is read; only whether non-ASCII addresses
   are allowed depends on the transaction (RFC 6531 §3.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from mailhub.mail.address import NULL, Path, parse_path
from mailhub.mail.envelope import Body, DeliverBy, Notify, Return
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.smtp import parameter

NAME_LIMIT: Final = 255
"""Octets of the name in EHLO and HELO (RFC 5321 §4.5.3.1.2)."""


@value(frozen=True, slots=True)
class Ehlo:
    """EHLO; `name` is what the client calls itself."""

    name: str


@value(frozen=True, slots=True)
class Helo:
    """HELO."""

    name: str


@value(frozen=True, slots=True)
class Mail:
    """MAIL with its parameters; `auth` is ``""`` for ``AUTH=<>``."""

    reverse_path: Path
    size: int | None = None
    body: Body = Body.SEVEN_BIT
    ret: Return | None = None
    envid: str | None = None
    utf8: bool = False
    auth: str | None = None
    require_tls: bool = False
    hold_for: int | None = None
    hold_until: float | None = None
    by: DeliverBy | None = None
    priority: int | None = None


@value(frozen=True, slots=True)
class Rcpt:
    """RCPT with its parameters."""

    forward_path: Path
    notify: Notify | None = None
    orcpt: str | None = None


@value(frozen=True, slots=True)
class Data:
    """DATA."""


@value(frozen=True, slots=True)
class Bdat:
    """BDAT: `size` octets follow it (RFC 3030 §2)."""

    size: int
    last: bool


@value(frozen=True, slots=True)
class Rset:
    """RSET."""


@value(frozen=True, slots=True)
class Noop:
    """NOOP."""


@value(frozen=True, slots=True)
class Vrfy:
    """VRFY."""


@value(frozen=True, slots=True)
class Expn:
    """EXPN."""


@value(frozen=True, slots=True)
class Help:
    """HELP."""


@value(frozen=True, slots=True)
class Quit:
    """QUIT."""


@value(frozen=True, slots=True)
class StartTls:
    """STARTTLS (RFC 3207 §4)."""


@value(frozen=True, slots=True)
class Auth:
    """AUTH; `initial` is the initial response in base64, None without one (RFC 4954 §4)."""

    mechanism: str
    initial: str | None


@value(frozen=True, slots=True)
class Foreign:
    """A line of another protocol: somebody made a program talk to us unawares."""


@value(frozen=True, slots=True)
class Garbled:
    """A BDAT whose size cannot be read: nobody knows where its octets end."""


Command = (
    Ehlo
    | Helo
    | Mail
    | Rcpt
    | Data
    | Bdat
    | Rset
    | Noop
    | Vrfy
    | Expn
    | Help
    | Quit
    | StartTls
    | Auth
    | Foreign
    | Garbled
)

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NON_ASCII: Final = re.compile(r"[^\x00-\x7f]")
# Reverse-path = Path / "<>"; Path = "<" [ A-d-l ":" ] Mailbox ">"        (RFC 5321 §4.1.2)
_PATH: Final = re.compile(r' *<(?P<path>(?:"(?:[^"\\]|\\.)*+"|[^"<> ])*+)>(?: +(?P<rest>.*))?')
# Not in the grammar, and obeyed all the same: a path without brackets. Printers,
# telephone systems and people with telnet leave them out, and Postfix takes it.
_NAKED: Final = re.compile(r" *(?P<path>[^ <>\"@]++@[^ <>\"]++)(?: +(?P<rest>.*))?")
# chunk-size = 1*DIGIT; bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ]    (RFC 3030 §2)
_BDAT: Final = re.compile(r"(?P<size>[0-9]{1,19})(?P<last> +LAST)?", re.IGNORECASE)
# sasl-mech = 1*20mech-char                                                  (RFC 4422 §3.1)
_AUTH: Final = re.compile(r"(?P<mechanism>[A-Za-z0-9_-]{1,20})(?: +(?P<initial>[^ ]+))?")


def parse(line: bytes, *, utf8: bool = False) -> Command:
    """The command that a line without its CR LF holds.

    Where `utf8` is true the transaction under way has SMTPUTF8.

    Raises:
        Refusal: 500 5.5.2 for a line that is no command, 501 for a bad
            argument, 555 5.5.4 for an unknown parameter, 553 5.6.7 for a
            non-ASCII address without SMTPUTF8.
    """
    try:
        text = line.decode()
        if not text.isprintable() and _UNPRINTABLE.search(text):
            raise Refusal(500, "5.2", "Control characters are not allowed")
    except UnicodeDecodeError:
        raise Refusal(500, "5.2", "Neither ASCII nor UTF-8") from None
    verb, _, argument = text.partition(" ")
    reading = _GRAMMAR.get(verb.upper())
    if reading is None:
        raise Refusal(500, "5.2", "No such command")
    # Trailing white space is tolerated (RFC 5321 §4.1.1).
    return reading(argument.rstrip(" "), utf8)


def _ehlo(argument: str, _: bool) -> Ehlo:
    return Ehlo(_name("EHLO", argument))


def _helo(argument: str, _: bool) -> Helo:
    return Helo(_name("HELO", argument))


def _name(verb: str, argument: str) -> str:
    """The name a client gives itself: anything, as real clients say anything.

    Raises:
        Refusal: 501, without enhanced status as for all of EHLO (RFC 2034 §4).
    """
    name = _NON_ASCII.sub("?", argument.lstrip(" "))
    if not name or " " in name or len(name) > NAME_LIMIT:
        raise Refusal(501, "", f"Syntax: {verb} your.host.name")
    return name


def _mail(argument: str, _: bool) -> Mail:
    # mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF     (RFC 5321 §4.1.1.2)
    text, rest = _path("MAIL", "FROM:", argument)
    if not rest:
        path = parse_path(text)
        _require_domain(path)
        return Mail(path)
    parameters = parameter.split(rest)
    utf8 = "SMTPUTF8" in parameters
    kept = parameter.read(parameters, parameter.MAIL, utf8=utf8)
    path = parse_path(text, utf8=utf8)
    _require_domain(path)
    return Mail(path, **kept)


def _require_domain(path: Path) -> None:
    if not path.domain and path != NULL:
        raise Refusal(501, "1.7", "A reverse-path needs a domain")


def _rcpt(argument: str, utf8: bool) -> Rcpt:
    # rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
    #        [SP Rcpt-parameters] CRLF                               (RFC 5321 §4.1.1.3)
    text, rest = _path("RCPT", "TO:", argument)
    try:
        path = parse_path(text, utf8=utf8)
    except Refusal as refusal:
        if refusal.reply.detail != "1.7":
            raise
        # Status X.1.3 says of a destination what X.1.7 says of a sender (RFC 3463 §3.2).
        raise Refusal(501, "1.3", *refusal.reply.lines) from None
    if path == NULL:
        raise Refusal(501, "1.3", "A forward-path cannot be null")
    if not rest:
        return Rcpt(path)
    return Rcpt(path, **parameter.read(parameter.split(rest), parameter.RCPT, utf8=utf8))


def _path(verb: str, keyword: str, argument: str) -> tuple[str, str]:
    """A path as it stands between its brackets, and the parameters behind it."""
    size = len(keyword)
    if argument[:size].upper() == keyword:
        # Blanks before the path are forbidden and common (RFC 5321 §4.1.1).
        found = _PATH.fullmatch(argument, size) or _NAKED.fullmatch(argument, size)
        if found is not None:
            return found["path"], found["rest"] or ""
    raise Refusal(501, "5.4", f"Syntax: {verb} {keyword}<address>")


def _bdat(argument: str, _: bool) -> Bdat | Garbled:
    found = _BDAT.fullmatch(argument)
    if found is None:
        return Garbled()
    return Bdat(int(found["size"]), found["last"] is not None)


def _auth(argument: str, _: bool) -> Auth:
    # "AUTH" SP sasl-mech [SP (base64 / "=")] *(CRLF [base64]) CRLF    (RFC 4954 §8)
    found = _AUTH.fullmatch(argument)
    if found is None:
        raise Refusal(501, "5.4", "Syntax: AUTH mechanism")
    return Auth(found["mechanism"].upper(), found["initial"])


def _bare(command: Command) -> Callable[[str, bool], Command]:
    def reading(argument: str, _: bool) -> Command:
        if argument:
            raise Refusal(501, "5.4", "No argument expected")
        return command

    return reading


def _lenient(command: Command) -> Callable[[str, bool], Command]:
    return lambda _argument, _utf8: command


def _asked(command: Command) -> Callable[[str, bool], Command]:
    def reading(argument: str, _: bool) -> Command:
        if not argument:
            raise Refusal(501, "5.4", "Whom?")
        return command

    return reading


_GRAMMAR: Final[Mapping[str, Callable[[str, bool], Command]]] = {
    "EHLO": _ehlo,
    "HELO": _helo,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _bare(Data()),
    "BDAT": _bdat,
    "RSET": _bare(Rset()),
    "NOOP": _lenient(Noop()),  # a string behind it is ignored (RFC 5321 §4.1.1.9)
    "VRFY": _asked(Vrfy()),
    "EXPN": _asked(Expn()),
    "HELP": _lenient(Help()),
    "QUIT": _bare(Quit()),
    "STARTTLS": _bare(StartTls()),
    "AUTH": _auth,
    "GET": _lenient(Foreign()),
    "POST": _lenient(Foreign()),
    "PUT": _lenient(Foreign()),
    "CONNECT": _lenient(Foreign()),
    "OPTIONS": _lenient(Foreign()),
}
"""Every verb, and the function that reads what follows it."""
