"""The grammar of commands about accounts: access control, annotations, quotas, signed URLs.

The other half of `imap.syntax`: RFC 4314 §7, RFC 4467 §9, RFC 5464 §5, RFC 9208 §7.
"""

from __future__ import annotations

import re
from typing import Final

from mailhub.imap.command import (
    Asked,
    GenUrlAuth,
    GetMetadata,
    ListRights,
    ResetKey,
    SetAcl,
    SetMetadata,
    SetQuota,
    UrlFetch,
)
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad
from mailhub.imap.settings import Limits

# entry names: ASCII without controls, "*" and "%"; no empty component       (RFC 5464 §3.2)
_ENTRY: Final = re.compile(rb"/(?:shared|private)(?:/[ -$&-)+-.0-~]+)*", re.IGNORECASE)
ENTRY_LIMIT: Final = 255
"""Octets of an entry's name."""
RESOURCES: Final = frozenset({"STORAGE", "MESSAGE", "MAILBOX"})
"""Resources that can be limited (RFC 9208 §5)."""
_WANTED: Final = frozenset({"BODY", "BINARY", "BODYPARTSTRUCTURE"})
"""What can be asked about a URL (RFC 5524 §3)."""


def set_acl(tokens: Tokens, _limits: Limits) -> SetAcl:
    """``"SETACL" SP mailbox SP identifier SP mod-rights``."""
    mailbox, identifier = _two(tokens)
    tokens.space()
    change = tokens.astring()
    tokens.end()
    return SetAcl(mailbox, identifier, change)


def delete_acl(tokens: Tokens, _limits: Limits) -> SetAcl:
    """``"DELETEACL" SP mailbox SP identifier``."""
    mailbox, identifier = _two(tokens)
    tokens.end()
    return SetAcl(mailbox, identifier, None)


def list_rights(tokens: Tokens, _limits: Limits) -> ListRights:
    """``"LISTRIGHTS" SP mailbox SP identifier``."""
    mailbox, identifier = _two(tokens)
    tokens.end()
    return ListRights(mailbox, identifier)


def _two(tokens: Tokens) -> tuple[bytes, bytes]:
    tokens.space()
    mailbox = tokens.astring()
    tokens.space()
    return mailbox, tokens.astring()


def set_quota(tokens: Tokens, limits: Limits) -> SetQuota:
    """``"SETQUOTA" SP quota-root-name SP "(" [name SP limit *(SP name SP limit)] ")"``."""
    tokens.space()
    root = tokens.astring()
    tokens.space()

    def limit() -> tuple[str, int]:
        name = tokens.keyword()
        tokens.space()
        return name, tokens.number64()

    found = tokens.parenthesised(limit, limits.items, empty=True)
    tokens.end()
    return SetQuota(root, dict(found))


def get_metadata(tokens: Tokens, limits: Limits) -> GetMetadata:
    """``"GETMETADATA" [SP getmetadata-options] SP mailbox SP entries``.

    The options stand behind the mailbox too, as older clients send them.
    """
    tokens.space()
    depth, longest = _options(tokens, limits)
    mailbox = tokens.astring()
    tokens.space()
    wanted = asked(tokens, limits)
    tokens.end()
    if wanted.depth == 0 and wanted.longest is None:
        wanted = Asked(wanted.entries, depth, longest)
    return GetMetadata(mailbox, wanted)


def asked(tokens: Tokens, limits: Limits) -> Asked:
    """``[getmetadata-options SP] entries``: an entry, or several in parentheses."""
    depth, longest = _options(tokens, limits)
    if tokens.next_is(b"("):
        entries = tokens.parenthesised(lambda: _entry(tokens), limits.items)
    else:
        entries = [_entry(tokens)]
    return Asked(tuple(dict.fromkeys(entries)), depth, longest)


_OPTIONS: Final = re.compile(rb"\((?=(?:MAXSIZE|DEPTH) )", re.IGNORECASE)


def _options(tokens: Tokens, limits: Limits) -> tuple[int | None, int | None]:
    """``"(" getmetadata-option *(SP getmetadata-option) ")" SP``, if there are any.

    Gives DEPTH (None for infinity) and MAXSIZE (None without).
    """
    depth: int | None = 0
    longest: int | None = None
    if not _OPTIONS.match(tokens.rest):
        return depth, longest

    def option() -> None:
        nonlocal depth, longest
        name = tokens.keyword()
        tokens.space()
        if name == "MAXSIZE":
            longest = tokens.number()
        elif name == "DEPTH":
            word = tokens.keyword()
            if word not in ("0", "1", "INFINITY"):
                raise Bad("DEPTH is 0, 1 or infinity")
            depth = None if word == "INFINITY" else int(word)
        else:
            raise Bad("Unknown GETMETADATA option")

    tokens.parenthesised(option, limits.items)
    tokens.space()
    return depth, longest


def set_metadata(tokens: Tokens, limits: Limits) -> SetMetadata:
    """``"SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"``."""
    tokens.space()
    mailbox = tokens.astring()
    tokens.space()

    def change() -> tuple[str, bytes | None]:
        entry = _entry(tokens)
        if entry.count("/") < 2:
            raise Bad("An annotation has a name behind /shared/ or /private/")
        tokens.space()
        return entry, tokens.nstring8()

    found = tokens.parenthesised(change, limits.items)
    tokens.end()
    return SetMetadata(mailbox, dict(found))


def _entry(tokens: Tokens) -> str:
    """An entry's name in lower case: it has none (RFC 5464 §3.2)."""
    octets = tokens.astring()
    if len(octets) > ENTRY_LIMIT or not _ENTRY.fullmatch(octets):
        raise Bad("Not an annotation's name")
    return octets.decode("ascii").lower()


def reset_key(tokens: Tokens, limits: Limits) -> ResetKey:
    """``"RESETKEY" [SP mailbox *(SP mechanism)]``."""
    found: list[bytes] = []
    while tokens.maybe(b" ") and not tokens.ended:
        found.append(tokens.astring())
        if len(found) > limits.items:
            raise Bad("Too many mechanisms")
    tokens.end()
    mechanisms = tuple(name.decode("latin-1").upper() for name in found[1:])
    return ResetKey(found[0] if found else None, mechanisms)


def generate_urls(tokens: Tokens, limits: Limits) -> GenUrlAuth:
    """``"GENURLAUTH" 1*(SP url-rump SP mechanism)``."""
    found: list[tuple[bytes, str]] = []
    while not found or (tokens.maybe(b" ") and not tokens.ended):
        if not found:
            tokens.space()
        octets = tokens.astring()
        tokens.space()
        found.append((octets, tokens.keyword()))
        if len(found) > limits.items:
            raise Bad("Too many URLs")
    tokens.end()
    return GenUrlAuth(tuple(found))


def fetch_urls(tokens: Tokens, limits: Limits) -> UrlFetch:
    """``"URLFETCH" 1*(SP (url-full / "(" url-full *(SP url-fetch-param) ")"))`` (RFC 5524 §4)."""
    found: list[tuple[bytes, tuple[str, ...]]] = []
    while not found or (tokens.maybe(b" ") and not tokens.ended):
        if not found:
            tokens.space()
        found.append(_url(tokens) if tokens.maybe(b"(") else (tokens.astring(), ()))
        if len(found) > limits.items:
            raise Bad("Too many URLs")
    tokens.end()
    return UrlFetch(tuple(found))


def _url(tokens: Tokens) -> tuple[bytes, tuple[str, ...]]:
    octets = tokens.astring()
    wanted: dict[str, None] = {}
    while not tokens.maybe(b")"):
        tokens.space()
        word = tokens.keyword()
        if word not in _WANTED:
            raise Bad(f"Nothing is known of {word}")
        wanted[word] = None
    return octets, tuple(wanted)
