"""MIME field values with parameters: Content-Type, Content-Disposition, and the simple ones.

Reads what real mail has, not only what RFC 2045 §5.1 allows: missing
semicolons' worth of junk, unquoted blanks and ``=``, quotes that never close,
comments anywhere, RFC 2231 continuations out of order.

Invariants:

1. Nothing here raises, and each function is linear in its value.
2. What is returned holds no CR, LF or NUL that was not inside a quoted string,
   and spells everything as the sender did (case included).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

Parameters = tuple[tuple[bytes, bytes], ...]
"""Names and values in order; a name may appear twice, and the first one counts."""

PARAMETER_LIMIT: Final = 256
"""Parameters of one field that are looked at: real fields have a handful."""

# token = 1*<any CHAR except SPACE, CTLs, or tspecials>                    (RFC 2045 §5.1)
_TOKEN: Final = rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]++"
# content = type "/" subtype *(";" parameter)                              (RFC 2045 §5.1)
_CONTENT_TYPE: Final = re.compile(
    rb"[\s\"']*+(" + _TOKEN + rb")\s*+/\s*+(" + _TOKEN + rb")[\"']?(?=[\s;,]|$)"
)
_ONE_TOKEN: Final = re.compile(rb"[\s\"']*+(" + _TOKEN + rb")")
# parameter = attribute "=" value; value = token / quoted-string           (RFC 2045 §5.1)
# An unquoted value ends at the semicolon, a quoted one that never closes too. What
# is no parameter is passed over; nothing is tried twice.
_PARAMETER: Final = re.compile(
    rb"[;\s]*+(?:([^\s=;\"]++)\s*+=\s*+(?:\"((?:[^\"\\]++|\\.)*+)\"[^;]*+|\"?([^;]*+))|[^;]*+)",
    re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
# Quoted strings, so that a parenthesis in one begins no comment            (RFC 5322 §3.2.2)
_PIECE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|\\.|[()]|[^"\\()]+|["\\]', re.DOTALL)
# section = "*0" / "*" ("1"…"9") *DIGIT; a "*" behind it: extended          (RFC 2231 §3, §4)
_SECTION: Final = re.compile(rb"(.+?)\*(0|[1-9]\d{0,3})(\*?)")
_UNSAFE: Final = re.compile(rb"[^!#$&+.\^_`{|}~0-9A-Za-z-]")
_LANGUAGE: Final = re.compile(rb"[^\s,;\"]+")


class Value(NamedTuple):
    """A token with parameters: a disposition."""

    token: bytes
    parameters: Parameters


def content_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """Type, subtype and parameters of a Content-Type; None for what is none (RFC 2045 §5.2)."""
    if b"(" in value:
        value = without_comments(value)
    found = _CONTENT_TYPE.match(value)
    if found is None:
        return None
    return found[1], found[2], parameters(value, found.end())


def disposition(value: bytes) -> Value | None:
    """A Content-Disposition; one that only has parameters is an attachment (RFC 2183 §2.8)."""
    if b"(" in value:
        value = without_comments(value)
    found = _ONE_TOKEN.match(value)
    if found is None or value.startswith(b"=", found.end()):
        rest = parameters(value, 0)
        return Value(b"attachment", rest) if rest else None
    return Value(found[1], parameters(value, found.end()))


def token(value: bytes) -> bytes | None:
    """The first token of a Content-Transfer-Encoding, whatever stands around it."""
    if b"(" in value:
        value = without_comments(value)
    found = _ONE_TOKEN.match(value)
    return found[1] if found else None


def languages(value: bytes) -> tuple[bytes, ...]:
    """The tags of a Content-Language (RFC 3282 §2)."""
    if b"(" in value:
        value = without_comments(value)
    return tuple(_LANGUAGE.findall(value)[:PARAMETER_LIMIT])


def parameters(value: bytes, start: int) -> Parameters:
    """The parameters that stand in `value` from `start` on, continuations joined."""
    found = []
    continued = False
    for match in _PARAMETER.finditer(value, start):
        name, quoted, bare = match.groups()
        if name is None:
            continue
        if quoted is None:
            quoted = bare.strip(b" \t\r\n")
        elif b"\\" in quoted:
            quoted = _QUOTED_PAIR.sub(rb"\1", quoted)
        continued = continued or b"*" in name
        found.append((name, quoted))
        if len(found) == PARAMETER_LIMIT:
            break
    return _joined(found) if continued else tuple(found)


def without_comments(value: bytes) -> bytes:
    """The value with each comment, however nested, replaced by a blank (RFC 5322 §3.2.2)."""
    depth, kept = 0, []
    for piece in _PIECE.findall(value):
        if piece == b"(":
            depth += 1
        elif piece == b")":
            if not depth:
                kept.append(piece)
            elif depth == 1:
                kept.append(b" ")
            depth = max(depth - 1, 0)
        elif not depth:
            kept.append(piece)
    return b"".join(kept)


def _joined(found: list[tuple[bytes, bytes]]) -> Parameters:
    """Put continuations together (RFC 2231 §3), behind the plain parameters, sorted.

    The result of one with an extended section is called ``name*`` and stays
    percent-encoded, as IMAP shows it (RFC 2231 §6). Sections behind a gap stay
    what they are.
    """
    plain: list[tuple[bytes, bytes]] = []
    rest: list[tuple[bytes, bytes]] = []
    runs: dict[bytes, list[tuple[bytes, bytes]]] = {}
    sections = []
    for name, value in found:
        match = _SECTION.fullmatch(name)
        if match is not None:
            sections.append((int(match[2]), match[1], match[3], name, value))
        else:
            (rest if b"*" in name else plain).append((name, value))
    spelling: dict[bytes, bytes] = {}
    for number, base, extended, name, value in sorted(sections, key=lambda section: section[0]):
        run = runs.setdefault(base.lower(), [])
        if number == len(run):
            run.append((extended, value))
            spelling.setdefault(base.lower(), base)
        else:
            rest.append((name, value))
    rest += [_continuation(spelling[base], run) for base, run in runs.items() if run]
    return tuple(plain + sorted(rest))


def _continuation(name: bytes, run: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    if not any(extended for extended, _ in run):
        return name, b"".join(value for _, value in run)
    if not run[0][0]:
        run[0] = (b"*", b"''" + _percent(run[0][1]))  # no charset was named
    values = (value if extended else _percent(value) for extended, value in run)
    return name + b"*", b"".join(values)


def _percent(value: bytes) -> bytes:
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], value)
