r"""FETCH, streamed: rows made column by column, contents sent as they are read.

Facts (UID, FLAGS, dates, sizes) come straight from the mailbox's arrays; the
rendered ENVELOPE and BODYSTRUCTURE from the index; header sections in batches;
all else from the message itself, one at a time.

Invariants:

1. Sequence numbers are the client's from the first row to the last: nothing is
   told amid FETCH (RFC 3501 §7.4.1), and rows are found anew after each wait.
2. At most one batch, one piece of a large message, or one message that must be
   taken apart is in memory.
3. A message expunged by another session is left out, and `missed` then tells
   the command to end in NO (RFC 2180 §4.1.2).
4. Once a literal's size has been said exactly so many octets follow, or the
   connection breaks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import chain
from typing import Final

from mailhub.imap.item import Fact, Item, Octets
from mailhub.imap.response import PIECE, RECENT, Broken, FlagLists, literal, pieces
from mailhub.imap.section import Section, narrow, section, select, span
from mailhub.imap.sequence import Ranges
from mailhub.imap.state import Selected
from mailhub.mail.date import format_internal
from mailhub.mail.flag import SEEN
from mailhub.mail.part import parse
from mailhub.ports import Content, FlagAction, StoreRefused, Uid

FACT_ROWS: Final = 500
"""Rows of facts made in one step: about 32 KiB."""
SUMMARY_ROWS: Final = 100
"""Summaries asked of the index at a time."""
HEADER_ROWS: Final = 50
"""Header sections read at a time."""
CONTENT_ROWS: Final = 16
"""Messages whose contents are sent between two looks at the arrays."""
NO_PART: Final = b'""'
"""What stands for a part that is not there; Dovecot says so too, where NIL would be right."""

Span = tuple[int, int]

_SUMMARIES: Final = frozenset({Fact.ENVELOPE, Fact.BODY, Fact.BODYSTRUCTURE})
_HEADERS: Final = frozenset({"HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT"})


def spans(ranges: Ranges, rows: int) -> Iterator[list[tuple[int, int]]]:
    """Ranges of sequence numbers in batches of at most `rows` numbers."""
    batch: list[tuple[int, int]] = []
    room = rows
    for first, last in ranges:
        start = first
        while start <= last:
            end = min(last, start + room - 1)
            batch.append((start, end))
            room -= end - start + 1
            start = end + 1
            if not room:
                yield batch
                batch, room = [], rows
    if batch:
        yield batch


class Rows:
    """The living messages of a batch, as columns that run parallel.

    Attributes:
        seqs: Sequence numbers.
        uids: UIDs.
        bits: Flags, with `RECENT` where it applies.
        missed: Some of the batch are expunged.
    """

    __slots__ = ("bits", "dates", "missed", "seqs", "sizes", "uids")

    def __init__(self, selected: Selected, batch: Sequence[tuple[int, int]]) -> None:
        mailbox, view = selected.mailbox, selected.view
        runs = [run for first, last in batch for run in view.runs(first, last)]
        cuts = [slice(run.position, run.position + run.length) for run in runs]
        self.seqs: Sequence[int] = _joined([range(run.seq, run.seq + run.length) for run in runs])
        self.uids: Sequence[int] = _joined([mailbox.uids[cut] for cut in cuts])
        self.bits: Sequence[int] = _joined([mailbox.flags[cut] for cut in cuts])
        self.sizes: Sequence[int] = _joined([mailbox.sizes[cut] for cut in cuts])
        self.dates: Sequence[int] = _joined([mailbox.dates[cut] for cut in cuts])
        self.missed = len(self.seqs) < sum(last - first + 1 for first, last in batch)
        recent = view.recent_among(self.uids[0], self.uids[-1]) if self.uids else None
        if recent:
            pairs = zip(self.uids, self.bits, strict=True)
            self.bits = [bits | RECENT if uid in recent else bits for uid, bits in pairs]


def _joined(columns: list[Sequence[int]]) -> Sequence[int]:
    return columns[0] if len(columns) == 1 else list(chain.from_iterable(columns))


class Table:
    """A batch of FETCH responses: the format of a row, and its columns."""

    __slots__ = ("_columns", "_formats", "_missing")

    def __init__(self, seqs: Sequence[int]) -> None:
        self._formats: list[bytes] = []
        self._columns: list[Sequence[object]] = [seqs]
        self._missing: set[int] = set()

    def add(self, row: bytes, column: Sequence[object]) -> None:
        """Add an item, `row` being its format; a row with None in any column is left out."""
        self._formats.append(row)
        self._columns.append(column)
        if None in column:
            self._missing.update(place for place, cell in enumerate(column) if cell is None)

    @property
    def missed(self) -> bool:
        """Some rows are left out."""
        return bool(self._missing)

    def lines(self) -> bytes:
        """The responses, whole."""
        columns = self._living()
        count = len(columns[0])
        cells: list[object] = [None] * (len(columns) * count)
        for place, column in enumerate(columns):
            cells[place :: len(columns)] = column
        return (self._format() + b")\r\n") * count % tuple(cells)

    def heads(self) -> list[bytes | None]:
        """The responses as far as they go, ready for more items; None for one left out."""
        row = self._format() + b" " * bool(self._formats)
        whole = zip(*self._columns, strict=True)
        return [
            None if place in self._missing else row % cells for place, cells in enumerate(whole)
        ]

    def _format(self) -> bytes:
        return b"* %d FETCH (" + b" ".join(self._formats)

    def _living(self) -> list[Sequence[object]]:
        if not self._missing:
            return self._columns
        kept = [place for place in range(len(self._columns[0])) if place not in self._missing]
        return [[column[place] for place in kept] for column in self._columns]


class Fetching:
    """One FETCH under way.

    Attributes:
        missed: Some of the messages asked for are expunged.
    """

    def __init__(self, selected: Selected, items: Sequence[Item]) -> None:
        self._selected = selected
        self._facts = [item for item in items if isinstance(item, Fact)]
        self._octets = [item for item in items if isinstance(item, Octets)]
        self._marks = not selected.read_only and any(not item.peek for item in self._octets)
        self._summarised = not _SUMMARIES.isdisjoint(self._facts)
        self._opens = not all(map(_within_header, self._octets))
        self.missed = False

    async def rows(self, ranges: Ranges) -> AsyncGenerator[bytes, None]:
        """The FETCH responses for these sequence numbers."""
        for batch in spans(ranges, self._batch_size()):
            fresh: frozenset[int] = frozenset()
            if self._marks:
                fresh = await self._mark_seen(Rows(self._selected, batch))
            for piece in self._selected.view.tell_keywords():
                yield piece
            # From here to the table nothing waits and nothing is yielded: what
            # the rows show is what the view takes the client to know.
            rows = Rows(self._selected, batch)
            self.missed |= rows.missed
            if not rows.uids:
                continue
            table = self._table(rows, fresh)
            if self._summarised:
                await self._add_summaries(rows, table)
            if self._opens:
                async for piece in self._messages(rows, table):
                    yield piece
                continue
            if self._octets:
                await self._add_headers(rows, table)
            self.missed |= table.missed
            yield table.lines()

    def _batch_size(self) -> int:
        if self._opens:
            return CONTENT_ROWS
        if self._octets:
            return HEADER_ROWS
        return SUMMARY_ROWS if self._summarised else FACT_ROWS

    async def _mark_seen(self, rows: Rows) -> frozenset[int]:
        r"""Set ``\Seen``; give the UIDs that did not have it (RFC 3501 §6.4.5 BODY[])."""
        pairs = zip(rows.uids, rows.bits, strict=True)
        unseen = [Uid(uid) for uid, bits in pairs if not bits & SEEN]
        if not unseen:
            return frozenset()
        mailbox = self._selected.mailbox
        try:
            return frozenset(await mailbox.store(unseen, FlagAction.ADD, ["\\Seen"]))
        except StoreRefused:
            return frozenset()  # a full disk is no reason not to show the message

    def _table(self, rows: Rows, fresh: frozenset[int]) -> Table:
        """The columns that the mailbox's arrays hold."""
        lists = FlagLists(self._selected.mailbox.keywords)
        table = Table(rows.seqs)
        for fact in self._facts:
            match fact:
                case Fact.UID:
                    table.add(b"UID %d", rows.uids)
                case Fact.FLAGS:
                    table.add(b"FLAGS %b", [lists[bits] for bits in rows.bits])
                    self._selected.view.silence(rows.uids)
                case Fact.INTERNALDATE:
                    table.add(b"INTERNALDATE %b", list(map(format_internal, rows.dates)))
                case Fact.SIZE:
                    table.add(b"RFC822.SIZE %d", rows.sizes)
                case _:
                    pass  # of the index
        if fresh and Fact.FLAGS not in self._facts:
            # The change must be told                                      (RFC 3501 §6.4.5)
            table.add(b"FLAGS %b", [lists[bits] for bits in rows.bits])
            self._selected.view.silence(rows.uids)
        return table

    async def _add_summaries(self, rows: Rows, table: Table) -> None:
        found = await self._selected.mailbox.summaries([Uid(uid) for uid in rows.uids])
        for fact in self._facts:
            if fact in _SUMMARIES:
                name = fact.name.lower()
                column = [summary and getattr(summary, name) for summary in found]
                table.add(fact.value.encode() + b" %b", column)

    async def _add_headers(self, rows: Rows, table: Table) -> None:
        found = await self._selected.mailbox.headers([Uid(uid) for uid in rows.uids])
        for item in self._octets:
            column = [None if header is None else _value(header, item) for header in found]
            table.add(item.label.replace(b"%", b"%%") + b" %b", column)

    async def _messages(self, rows: Rows, table: Table) -> AsyncGenerator[bytes, None]:
        """Rows with items that only the message itself can give."""
        for uid, head in zip(rows.uids, table.heads(), strict=True):
            content = None
            if head is not None:
                content = await self._selected.mailbox.content(Uid(uid))
            if head is None or content is None:
                self.missed = True
                continue
            try:
                if content.size <= PIECE:
                    yield self._small(head, await content.read())
                else:
                    async for piece in self._large(head, uid, content):
                        yield piece
            finally:
                content.close()

    def _small(self, head: bytes, octets: bytes) -> bytes:
        items = [b"%b %b" % (item.label, _value(octets, item)) for item in self._octets]
        return b"%b%b)\r\n" % (head, b" ".join(items))

    async def _large(self, head: bytes, uid: int, content: Content) -> AsyncGenerator[bytes, None]:
        """One row of stretches that are read as they are sent."""
        locate = await self._locator(uid, content)
        yield head
        for place, item in enumerate(self._octets):
            yield b" " * bool(place) + item.label + b" "
            found = locate(item.section)
            if found is None:
                yield NO_PART
            elif item.section.names:
                fields = select(await content.read(found[0], found[1] - found[0]), item.section)
                for piece in pieces(literal(_cut(fields, item.partial))):
                    yield piece
            else:
                start, end = narrow(found, *item.partial) if item.partial else found
                yield b"{%d}\r\n" % (end - start)
                async for piece in _stretch(content, start, end):
                    yield piece
        yield b")\r\n"

    async def _locator(self, uid: int, content: Content) -> Callable[[Section], Span | None]:
        """Where the sections of a large message are; what its parts are is worked out once.

        A client that fetches a large part in many partial pieces asks for the
        same message again and again: so its structure is remembered.
        """
        if any(item.section.part for item in self._octets):
            if self._selected.large is None or self._selected.large[0] != uid:
                self._selected.large = uid, parse(await content.read())
            tree = self._selected.large[1]
            return lambda wanted: span(tree, wanted)
        body = 0
        if any(item.section.kind for item in self._octets):
            [header] = await self._selected.mailbox.headers([Uid(uid)])
            body = len(header or b"")
        spans = {"": (0, content.size), "TEXT": (body, content.size)}
        return lambda wanted: spans.get(wanted.kind, (0, body))


async def _stretch(content: Content, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """Octets whose number has been said already.

    Raises:
        Broken: They are not there.
    """
    while start < end:
        try:
            piece = await content.read(start, min(end - start, PIECE))
        except (OSError, StoreRefused) as why:
            raise Broken(str(why)) from why
        if not piece:
            raise Broken("a message has shrunk")
        yield piece
        start += len(piece)


def _value(octets: bytes, item: Octets) -> bytes:
    found = section(octets, item.section)
    return NO_PART if found is None else literal(_cut(found, item.partial))


def _cut(octets: bytes, partial: tuple[int, int] | None) -> bytes:
    """``<origin.count>``: what lies beyond the end is not there (RFC 3501 §6.4.5)."""
    return octets[partial[0] : partial[0] + partial[1]] if partial else octets


def _within_header(item: Octets) -> bool:
    """Whether the message's header section is all that is needed."""
    return not item.section.part and item.section.kind in _HEADERS
