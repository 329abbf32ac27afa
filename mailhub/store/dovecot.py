"""What Dovecot knows of a maildir: its UIDs and keywords, taken over when we first open it.

Read from ``dovecot-uidlist`` (version 3, as Dovecot 1.1 to 2.4 write it, and version 1)
and ``dovecot-keywords``; nothing is written. The files' names then get our
``U=``, so that this happens once. (Subscriptions need no adoption: we use
Dovecot's file as it is.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mailhub.mail.flag import KEYWORD_LIMIT
from mailhub.store.durable import read_file
from mailhub.store.files import Files
from mailhub.store.name import base_of
from mailhub.store.uidlist import UID_LIMIT

UIDLIST: Final = b"dovecot-uidlist"
KEYWORDS: Final = b"dovecot-keywords"

# Version 3 begins: "3 V<uidvalidity> N<next uid> G<guid>"
_HEADER_3: Final = re.compile(rb"3(?: [A-Z]\S*)+")
# A line of it: "<uid> [<extensions> ]:<file name>"
_LINE_3: Final = re.compile(rb"([0-9]{1,10}) [^:]*:(.+)")
# Version 1: "1 <uidvalidity> <next uid>", then lines "<uid> <file name>"
_HEADER_1: Final = re.compile(rb"1 ([0-9]{1,10}) ([0-9]{1,10})")
_LINE_1: Final = re.compile(rb"([0-9]{1,10}) (.+)")
_KEYWORD: Final = re.compile(rb"([0-9]{1,2}) (\S+)")


@dataclass(frozen=True, slots=True)
class Adopted:
    """A maildir's state under Dovecot.

    Attributes:
        uids: By base name (without flags).
        keywords: Names, for the letters from ``a`` up.
    """

    uid_validity: int
    uid_next: int
    uids: Mapping[bytes, int] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()


def load(files: Files, directory: bytes) -> Adopted | None:
    """What Dovecot left in a maildir; None if nothing that can be used."""
    octets = read_file(files, directory + b"/" + UIDLIST)
    if octets is None:
        return None
    names = read_file(files, directory + b"/" + KEYWORDS) or b""
    return parse(octets, names)


def parse(octets: bytes, keywords: bytes = b"") -> Adopted | None:
    """Read both files; None without a header that gives UIDVALIDITY.

    Lines that do not parse are passed over: such a message gets a new UID.
    """
    header, _, rest = octets.partition(b"\n")
    if _HEADER_3.fullmatch(header):
        fields = {entry[:1]: entry[1:] for entry in header.split(b" ")[1:]}
        validity, following, pattern = fields.get(b"V", b""), fields.get(b"N", b""), _LINE_3
    elif found := _HEADER_1.fullmatch(header):
        validity, following, pattern = found[1], found[2], _LINE_1
    else:
        return None
    if not validity.isdigit() or not following.isdigit():
        return None
    uids: dict[bytes, int] = {}
    for line in rest.split(b"\n"):
        found = pattern.fullmatch(line)
        if found and 0 < int(found[1]) < UID_LIMIT:
            uids[base_of(found[2])] = int(found[1])
    uid_next = max([int(following), *(uid + 1 for uid in uids.values())])
    if not 0 < int(validity) <= UID_LIMIT or uid_next > UID_LIMIT:
        return None
    return Adopted(int(validity), uid_next, uids, _keywords(keywords))


def _keywords(octets: bytes) -> tuple[str, ...]:
    """Their names by letter; a letter without a name gets one, for letters may not move."""
    names: dict[int, str] = {}
    for line in octets.split(b"\n"):
        found = _KEYWORD.fullmatch(line)
        if found and int(found[1]) < KEYWORD_LIMIT:
            names[int(found[1])] = found[2].decode("ascii", "replace").replace("\ufffd", "?")
    return tuple(names.get(n, f"unknown-{n}") for n in range(max(names, default=-1) + 1))
