r"""LIST and LSUB: which mailboxes match, and what is said of them (RFC 3501 §6.3.8, RFC 5258).

Pure functions over `ports.store.Listed` rows.

Invariants:

1. Matching takes time linear in the name, whatever the pattern: all positions a
   pattern can be in are the bits of one integer, so nothing backtracks.
2. Each name is listed once, however many patterns it matches (RFC 5258 §3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from mailhub.imap.name import INBOX, SEPARATOR, canonical, encoded, read
from mailhub.ports.store import Listed

Match = Callable[[str], bool]
Spell = Callable[[str], bytes]
"""How names are told to a client."""

BATCH: Final = 500
"""Names that are looked at in one step: about two milliseconds."""

_WILDCARDS: Final = "*%"


def matcher(pattern: str) -> Match:
    """Whether a name matches: ``*`` is anything, ``%`` anything within one level."""
    marks = _collapsed(canonical(pattern))
    literal: dict[str, int] = {}
    star = level = 0
    for place, mark in enumerate(marks):
        if mark == "*":
            star |= 1 << place
        elif mark == "%":
            level |= 1 << place
        else:
            literal[mark] = literal.get(mark, 0) | 1 << place
    end = 1 << len(marks)
    skippable = star | level

    def matches(name: str) -> bool:
        at = 1 | (1 & skippable) << 1
        for character in name:
            stays = star if character == SEPARATOR else skippable
            at = (at & literal.get(character, 0)) << 1 | at & stays
            at |= (at & skippable) << 1
        return bool(at & end)

    return matches


def _collapsed(pattern: str) -> str:
    """Neighbouring wildcards as one: no more than one can then be skipped at a time."""
    found = []
    for wild, group in groupby(pattern, key=_WILDCARDS.__contains__):
        run = "".join(group)
        found.append(("*" if "*" in run else "%") if wild else run)
    return "".join(found)


def patterns(
    reference: bytes, given: Iterable[bytes], limit: int, *, utf8: bool = False
) -> list[Match]:
    """The matchers of a command: the reference is simply put before each pattern.

    A pattern that is not in its encoding, or longer than any name can match, matches nothing.
    """
    found = []
    for pattern in given:
        try:
            text = read(reference + pattern, utf8=utf8)
        except ValueError:
            continue
        if len(_collapsed(text)) <= 2 * limit + 1:
            found.append(_for_inbox(text))
    return found


def _for_inbox(pattern: str) -> Match:
    """INBOX matches without regard to case (RFC 3501 §5.1)."""
    matches = matcher(pattern)
    inbox = matcher(pattern.upper())(INBOX)
    return lambda name: matches(name) or (inbox and name == INBOX)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a LIST command asks for.

    Attributes:
        selection: Names in capitals (RFC 5258 §3.1); empty for all that exist.
        returned: Names in capitals (RFC 5258 §3.2).
        extended: RFC 5258's syntax was used: its attributes may be.
    """

    matches: Sequence[Match]
    selection: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()
    extended: bool = False
    spell: Spell = encoded


@dataclass(frozen=True, slots=True)
class Told:
    """One LIST response.

    Attributes:
        line: The response.
        asked: It met the selection itself: more can be told of it, such as its STATUS. A name that
            is told for what lies below it did not.
        selectable: It is a mailbox.
    """

    name: str
    line: bytes
    asked: bool
    selectable: bool


def rows(listed: Sequence[Listed], wanted: Wanted) -> Iterator[list[Told]]:
    """The LIST responses, `BATCH` names looked at in each step; a step may find none."""
    levels = _with_levels(listed)
    parents = _ancestors(row.name for row in listed if row.selectable)
    chosen: set[str] = set()
    shown: set[str] = set()
    for batch in _batches(levels):
        chosen.update(row.name for row in batch if _chosen(row, wanted.selection, parents))
        shown.update(row.name for row in batch if _matches(row.name, wanted.matches))
        yield []
    recursive = "RECURSIVEMATCH" in wanted.selection
    # A name that only has chosen ones below it is told where at least one of
    # those is not told itself                                             (RFC 5258 §3.1)
    above = _ancestors(chosen) if recursive else frozenset()
    above_hidden = _ancestors(chosen - shown) if recursive else frozenset()
    for batch in _batches(levels):
        found = []
        for row in batch:
            if row.name in shown and (row.name in chosen or row.name in above_hidden):
                attributes = " ".join(_attributes(row, wanted, parents))
                name = wanted.spell(row.name)
                line = _row(b"LIST", attributes, name, _child_info(row, above, wanted))
                found.append(Told(row.name, line, row.name in chosen, row.selectable))
        yield found


def response(listed: Sequence[Listed], name: str, spell: Spell, called: str = "") -> bytes:
    """The LIST response of one mailbox, or of what was one.

    What a command `called` it is told where that is another name (RFC 9051 §6.3.9.7).
    """
    wanted = Wanted([name.__eq__], extended=True, spell=spell)
    line = b"".join(told.line for batch in rows(listed, wanted) for told in batch)
    line = line or _row(b"LIST", "\\NonExistent", spell(name))
    if called in ("", name):
        return line
    return b'%b ("OLDNAME" (%b))\r\n' % (line[:-2], spell(called))


def _batches(levels: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    return (levels[start : start + BATCH] for start in range(0, len(levels), BATCH))


def subscriptions(
    listed: Sequence[Listed], matches: Match, spell: Spell = encoded
) -> Iterator[bytes]:
    r"""The LSUB responses.

    A level that matches where only something below it is subscribed and does
    not match is told with ``\Noselect`` (RFC 3501 §6.3.9).
    """
    subscribed = {row.name for row in listed if row.subscribed}
    above = _ancestors(name for name in subscribed if not matches(name))
    for name in sorted(subscribed | above):
        if matches(name):
            yield _row(b"LSUB", "" if name in subscribed else "\\Noselect", spell(name))


def root(kind: bytes) -> bytes:
    """What an empty pattern asks for: the hierarchy separator (RFC 3501 §6.3.8)."""
    return b'* %b (\\Noselect) "/" ""\r\n' % kind


def _row(kind: bytes, attributes: str, name: bytes, more: bytes = b"") -> bytes:
    return b'* %b (%b) "/" %b%b\r\n' % (kind, attributes.encode(), name, more)


def _matches(name: str, patterns: Sequence[Match]) -> bool:
    return any(matches(name) for matches in patterns)


def _chosen(row: Listed, selection: frozenset[str], parents: frozenset[str]) -> bool:
    exists = row.selectable or row.name in parents
    if "SUBSCRIBED" in selection:
        exists = row.subscribed  # whether it exists or not                (RFC 5258 §3.1)
    return exists and ("SPECIAL-USE" not in selection or bool(row.special_use))


def _child_info(row: Listed, above: frozenset[str], wanted: Wanted) -> bytes:
    """CHILDINFO names the options that names below this one meet (RFC 5258 §4)."""
    if row.name not in above:
        return b""
    options = sorted(wanted.selection & {"SUBSCRIBED", "SPECIAL-USE"})
    named = " ".join(f'"{option}"' for option in options)
    return f' ("CHILDINFO" ({named}))'.encode()


def _attributes(row: Listed, wanted: Wanted, parents: frozenset[str]) -> Iterator[str]:
    if not row.selectable:
        # \NonExistent implies \Noselect                                   (RFC 5258 §3)
        yield "\\NonExistent" if wanted.extended else "\\Noselect"
    if row.subscribed and "SUBSCRIBED" in wanted.returned | wanted.selection:
        yield "\\Subscribed"
    # Told unasked too: cheap here                          (RFC 3348 §3, RFC 6154 §2)
    yield "\\HasChildren" if row.name in parents else "\\HasNoChildren"
    yield from row.special_use


def _ancestors(names: Iterable[str]) -> frozenset[str]:
    """Every level above these names."""
    found: set[str] = set()
    for name in names:
        above = name.rpartition(SEPARATOR)[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition(SEPARATOR)[0]
    return frozenset(found)


def _with_levels(listed: Sequence[Listed]) -> list[Listed]:
    """The rows, and every level above one, in order of names."""
    known = {row.name for row in listed}
    missing = _ancestors(known) - known
    levels = [Listed(name, selectable=False, subscribed=False) for name in missing]
    return sorted([*listed, *levels], key=lambda row: row.name)
