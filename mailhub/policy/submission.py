"""What a submission server checks and mends in the header of its own users' mail (RFC 6409 §8).

Only the header section is looked at; the body passes as it is. Nothing is
signed yet when mail is submitted, so mending breaks no signature of ours.

Invariants:

1. What leaves has one From, a Date and a Message-ID, and no Bcc.
2. No address in that From belongs to somebody else of this hub; where the message
   is not resent, each belongs to the account.
3. All other fields, and the order of fields, stay as they were written.
"""

from __future__ import annotations

import re
from typing import Final

from mailhub.mail.address import Path, parse_address
from mailhub.mail.date import format_date
from mailhub.mail.header import Header, make
from mailhub.mail.reply import Refusal
from mailhub.policy.access import OWN_SENDERS
from mailhub.policy.alias import Rules, may_send_as
from mailhub.ports.accounts import Account, Directory

_DROPPED: Final = (b"bcc", b"resent-bcc", b"return-path")
"""Bcc is for nobody to read (RFC 5322 §3.6.3); Return-Path is the final host's (RFC 5321 §4.4)."""

_TRACE: Final = frozenset({b"received", b"return-path", b"delivered-to"})
_RESENDERS: Final = frozenset({b"resent-from", b"resent-sender"})

# A line that mbox files put before each message: no field, and no one's to send on.
_MBOX: Final = re.compile(rb"\A>?From [^\r\n]*\r?\n")
# The first line that is neither a field nor the continuation of one: the body has begun.
_NO_FIELD: Final = re.compile(rb"^(?![!-9;-~]+[ \t]*:|[ \t]|\r?$)", re.MULTILINE)
# Words (octets of UTF-8 among them), quoted strings, quoted pairs, single characters.
#                                                                            (RFC 5322 §3.2)
_WORD: Final = re.compile(rb'[^\s<>,;:()"\\@]+')
_LOCAL: Final = re.compile(rb'[^\s<>,;:()"\\@]+|"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN: Final = re.compile(rb'[^\s<>,;:()"\\@]+|"(?:[^"\\]|\\.)*"|\\.|.', re.DOTALL)


def sections(block: bytes) -> tuple[Header, bytes]:
    """Cut what should be a header section where its fields really end.

    A client that sends text without any header, or forgets the empty line,
    means a body. What stands behind the fields is returned as such, behind an
    empty line.
    """
    block = _MBOX.sub(b"", block)
    found = _NO_FIELD.search(block)
    if found is None or found.start() == len(block):
        return Header(block), b""
    return Header(block[: found.start()]), b"\r\n" + block[found.start() :]


async def check_authors(
    header: Header, account: Account, directory: Directory, rules: Rules | None = None
) -> None:
    """Judge From: every address in it must be the account's, or an alias of it (RFC 6409 §6.1).

    Every address that any reader might find there: clients differ in what they
    make of a malformed field. A message that the account resends may be of
    somebody else's, as long as he is not of a domain that we speak for.

    Raises:
        Refusal: 550 5.7.1 for somebody else's address, or none at all;
            554 5.6.0 for several From fields, of which readers choose differently.
    """
    fields = header.all(b"from")
    if len(fields) > 1:
        raise Refusal(554, "6.0", "A message has one From field")
    resent = await _resent(header, account, directory, rules)
    for specs in [addresses(field) for field in fields if field]:
        if resent and await _elsewhere(specs, directory):
            continue
        if not await _owns(specs, account, directory, rules):
            words = "From is not an address of the account that has logged in"
            raise Refusal(550, "7.1", words).by(OWN_SENDERS)


async def _resent(
    header: Header, account: Account, directory: Directory, rules: Rules | None
) -> bool:
    """Whether the account resends the message, and answers for that (RFC 5322 §3.6.6).

    Raises:
        Refusal: 550 5.7.1 where somebody else would seem to do so.
    """
    fields = _resenders(header)
    for field in fields:
        if not await _owns(addresses(field), account, directory, rules):
            words = "Resent-From is not an address of the account"
            raise Refusal(550, "7.1", words).by(OWN_SENDERS)
    return bool(fields)


def _resenders(header: Header) -> list[bytes]:
    """Who resends the message now: earlier ones stand below what hosts have added since."""
    found = []
    for field in header.fields():
        name = field.name.lower()
        if name in _TRACE:
            break
        if name in _RESENDERS:
            found.append(field.value)
    return found


async def _elsewhere(specs: list[bytes] | None, directory: Directory) -> bool:
    """Whether there are addresses, and none of them is in a domain of ours."""
    for spec in specs or ():
        path = _path(spec)
        if path is None or await directory.hosted(path.domain):
            return False
    return bool(specs)


async def foreign_sender(
    header: Header, account: Account, directory: Directory, rules: Rules | None = None
) -> bool:
    """Whether Sender names somebody else than the account, or cannot be read.

    Not in a message that is resent: there it is the author's affair.
    """
    fields = header.all(b"sender")
    if not fields or _resenders(header):
        return False
    return len(fields) > 1 or not await _owns(addresses(fields[0]), account, directory, rules)


def addresses(value: bytes) -> list[bytes] | None:
    """Everything in a field that might be read as an address; None where that is doubtful.

    Doubtful are at signs and angle brackets that belong to no plain address,
    and what does not close. Quoted strings and comments hold no addresses.
    """
    tokens = _uncommented(value)
    if tokens is None:
        return None
    found = []
    ahead = [*tokens, b""]
    for at, token in enumerate(tokens):
        if token == b"@":
            if not (at and _LOCAL.fullmatch(tokens[at - 1]) and _WORD.fullmatch(ahead[at + 1])):
                return None
            found.append(tokens[at - 1] + b"@" + ahead[at + 1])
    # Each bracket encloses one of them: "<" local "@" domain ">"
    opening = [at for at, token in enumerate(tokens) if token == b"<"]
    closing = [at for at, token in enumerate(tokens) if token == b">"]
    if closing != [at + 4 for at in opening] or any(tokens[at + 2] != b"@" for at in opening):
        return None
    return found


def _uncommented(value: bytes) -> list[bytes] | None:
    """The tokens of a structured field, each comment a blank; None if they do not close."""
    tokens = []
    depth = 0
    for match in _TOKEN.finditer(value):
        token = match[0]
        if token == b"(":
            depth += 1
            tokens.append(b" ")
        elif token == b")":
            depth -= 1
        elif not depth:
            tokens.append(token)
        if depth < 0:
            return None
    if depth or any(token == b'"' or token.startswith(b"\\") for token in tokens):
        return None
    return tokens


def completed(
    header: Header, author: Path, now: float, message_id: str, *, drop_sender: bool = False
) -> Header:
    """The header as it is sent on (RFC 6409 §8.1 to §8.3).

    `author` is named in From where there is none; `message_id` has its angle
    brackets. With `drop_sender` Sender goes: it is somebody else, and From says who it was.
    """
    drop = [*_DROPPED, *((b"sender",) if drop_sender else ())]
    added = []
    for name, value in (
        (b"Date", format_date(now)),
        (b"Message-ID", message_id),
        (b"From", f"<{author}>"),
    ):
        if not header.first(name.lower()):
            drop.append(name.lower())  # an empty one is none
            added.append(make(name.decode(), value))
    return header.drop(*drop).on_top(*added)


async def _owns(
    specs: list[bytes] | None, account: Account, directory: Directory, rules: Rules | None
) -> bool:
    """Whether there are addresses, and each of them is the account's."""
    for spec in set(specs or ()):
        path = _path(spec)
        if path is None or not await may_send_as(account, path, directory, rules):
            return False
    return bool(specs)


def _path(spec: bytes) -> Path | None:
    """The address that is spelled so, if it is one."""
    try:
        return parse_address(spec.decode())
    except (Refusal, UnicodeDecodeError):
        return None
