"""The plainest client that works: it believes untagged responses, and remembers what it can use.

It knows a mailbox by a list of what it was told, shifts it at EXPUNGE, cuts it
at VANISHED, grows it at EXISTS. What contradicts that list is an `AssertionError`.
Between two connections it keeps what RFC 7162 §5 lets it keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

NUMBERED = ("FETCH", "STORE", "SEARCH")
"""Commands amid which no EXPUNGE may be told (RFC 3501 §7.4.1)."""

_FETCH = re.compile(r"\* (\d+) (UID)?FETCH \((.*)\)", re.DOTALL)
_CODE = re.compile(r"\S+ OK \[(\S+) ?([^\]]*)\]")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_SUBJECT = re.compile(r"Subject: (\S*)")


@dataclass(slots=True)
class Entry:
    """What it knows of one message."""

    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int = 0
    subject: str | None = None


@dataclass(slots=True)
class Picture:
    """What it knows of a mailbox.

    Attributes:
        expected: What it knows of a mailbox that it comes back to; its first messages.
        modseq: Up to which it knows all; as it may be used after the connection is lost.
        command: The one under way.
    """

    entries: list[Entry] = field(default_factory=list)
    keywords: set[str] = field(default_factory=set)
    expected: list[Entry] = field(default_factory=list)
    uid_validity: int = 0
    uid_next: int = 0
    modseq: int = 0
    uid_only: bool = False
    command: str = ""
    vanishing: bool = False
    _code: int | None = None
    _top: int = 0

    def hear(self, command: str, octets: bytes) -> str:
        """Believe what was said in answer to a command; its tagged response."""
        self.command = command
        self._code, self._top = None, 0
        tagged = ""
        for line in lines(octets):
            if not line.startswith("* "):
                tagged = line if not line.startswith("+") else tagged
            self._believe(line)
        self._learn()
        return tagged

    def _learn(self) -> None:
        """How far it can go on from, should the connection break now (RFC 7162 §5.2)."""
        if self._code is not None:
            self.modseq = self._code
        elif not self.command.startswith(NUMBERED):
            self.modseq = max(self.modseq, self._top)

    def _believe(self, line: str) -> None:
        word = line.split()
        if line.startswith("* FLAGS"):
            self.keywords = set(line[9:-1].split())
        elif (found := _CODE.match(line)) is not None:
            self._believe_code(found[1], found[2])
        elif line.endswith(" EXISTS"):
            count = int(word[1])
            assert count >= len(self.entries), "messages vanished without EXPUNGE"
            assert count >= len(self.expected), "more is known than there is"
            self.entries, self.expected = self.entries + self.expected, []
            self.entries += [Entry() for _ in range(count - len(self.entries))]
        elif line.endswith(" EXPUNGE"):
            assert not self.command.startswith(NUMBERED), f"EXPUNGE amid {self.command}"
            assert not self.vanishing, "EXPUNGE said to who enabled QRESYNC"
            del self.entries[int(word[1]) - 1]
        elif line.startswith("* VANISHED "):
            self._vanish(line)
        elif (fetched := _FETCH.fullmatch(line)) is not None:
            self._fetched(int(fetched[1]), fetched[3], by_uid=fetched[2] is not None)

    def _believe_code(self, name: str, value: str) -> None:
        if name == "UIDVALIDITY":
            self.uid_validity = int(value)
        elif name == "UIDNEXT":
            self.uid_next = int(value)
        elif name == "HIGHESTMODSEQ":
            self._code = int(value)

    def _vanish(self, line: str) -> None:
        earlier = "(EARLIER)" in line
        gone = set(numbers(line.rsplit(maxsplit=1)[-1]))
        known = {entry.uid for entry in self.entries}
        if earlier:
            seen = gone & known
            assert not seen, f"(EARLIER) names {seen}, which this session shows"
            return
        assert self.vanishing, "VANISHED said to who did not ask for it"
        assert not self.command.startswith(NUMBERED), f"VANISHED amid {self.command}"
        unknown = sum(entry.uid is None for entry in self.entries)
        assert len(gone - known) <= unknown, f"{gone - known} were never shown"
        if gone - known:
            # Among those whose UIDs it has not asked for yet: which, it must ask.
            unasked = [it for it in self.entries if it.uid is None]
            left = len(unasked) - len(gone - known)
            kept = {id(entry) for entry in unasked[:left]}
            self.entries = [it for it in self.entries if it.uid is not None or id(it) in kept]
            for entry in unasked:
                entry.flags = entry.subject = None
                entry.modseq = 0
        self.entries = [entry for entry in self.entries if entry.uid not in gone]

    def _fetched(self, number: int, items: str, *, by_uid: bool) -> None:
        assert by_uid == self.uid_only, "FETCH where UIDFETCH was asked for, or the reverse"
        uid = re.match(r"(?:.* )?UID (\d+)", items)
        if by_uid:
            entry = next((it for it in self.entries if it.uid == number), None)
            if entry is None:
                entry = next(it for it in self.entries if it.uid is None)
                entry.uid = number
        else:
            assert 1 <= number <= len(self.entries), "a message it has not heard of"
            entry = self.entries[number - 1]
        if uid is not None:
            assert entry.uid in {None, int(uid[1])}, "a number that means two messages"
            entry.uid = int(uid[1])
        if (flags := re.search(r"FLAGS \(([^)]*)\)", items)) is not None:
            entry.flags = frozenset(flags[1].split()) - {"\\Recent"}
            assert entry.flags <= self.keywords, "a keyword that FLAGS has not introduced"
        if (modseq := re.search(r"MODSEQ \((\d+)\)", items)) is not None:
            assert int(modseq[1]) >= entry.modseq, "a MODSEQ went back"
            entry.modseq = int(modseq[1])
            self._top = max(self._top, entry.modseq)
        if (subject := _SUBJECT.search(items)) is not None:
            assert entry.subject in {None, subject[1]}, "a number that means two messages"
            entry.subject = subject[1]


def lines(octets: bytes) -> Iterator[str]:
    """Responses, each with the literals in it."""
    whole = b""
    while octets:
        end = octets.index(b"\r\n") + 2
        whole, octets = whole + octets[:end], octets[end:]
        if (found := _LITERAL.search(whole)) is not None:
            size = int(found[1])
            whole, octets = whole + octets[:size], octets[size:]
            continue
        yield whole[:-2].decode("utf-8", "replace")
        whole = b""
    assert not whole, "an answer ends amid a line"


def numbers(text: str) -> Iterator[int]:
    """The numbers of a set."""
    for part in text.split(","):
        first, _, last = part.partition(":")
        low, high = sorted((int(first), int(last or first)))  # the order does not matter
        yield from range(low, high + 1)
