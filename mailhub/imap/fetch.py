r"""FETCH, streamed: rows made column by column, contents sent as they are read.

Facts (UID, FLAGS, dates, sizes) come straight from the mailbox's arrays; the
rendered ENVELOPE and BODYSTRUCTURE, and header fields that were asked for before,
from the index; header sections in batches; all else from the message itself, one at
a time (`imap.extract`).

Invariants:

1. Sequence numbers are the client's from the first row to the last: nothing is
   told amid FETCH (RFC 3501 §7.4.1), and rows are found anew after each wait.
2. Of rows at most one batch is in memory, and a batch that came to much is followed
   by a smaller one.
3. A message expunged by another session is left out, and `missed` then tells
   the command to end in EXPUNGEISSUED (RFC 5530 §3).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import chain
from typing import Final

from mailhub.imap.downgrade import downgraded
from mailhub.imap.extract import Known, cut, large, small, study
from mailhub.imap.item import Fact, Item, Kind, Octets
from mailhub.imap.response import PIECE, RECENT, FlagLists, No, pieces, tellable
from mailhub.imap.section import Section, UnknownEncoding, section
from mailhub.imap.state import Selected
from mailhub.mail.date import format_internal
from mailhub.mail.flag import SEEN
from mailhub.mail.rights import may_set
from mailhub.ports.message import Content, FlagAction, Identity, Ranges, Rendering, Uid
from mailhub.ports.store import StoreRefused

FACT_ROWS: Final = 2000
"""Rows made in one step where all they show is in memory or in the index."""
HEADER_ROWS: Final = 50
"""Header sections read at a time, and rows of the first step of any that reads."""
STEP: Final = 262_144
"""Octets that a step should come to: after one with more, the next has fewer rows."""
LARGE: Final = 262_144
"""Octets of a message from which its header section is read in pieces."""
CONTENT_ROWS: Final = 16
"""Messages that are read in the first step, small ones at a time."""
CONTENT_MOST: Final = 256
"""Messages that are read in any step: some milliseconds of a thread."""
_RENDERINGS: Final = {
    Fact.ENVELOPE: Rendering.ENVELOPE,
    Fact.BODY: Rendering.BODY,
    Fact.BODYSTRUCTURE: Rendering.BODYSTRUCTURE,
    Fact.PREVIEW: Rendering.PREVIEW,
    Fact.LAZY_PREVIEW: Rendering.PREVIEW,
}
_IDENTITIES: Final[Mapping[Fact, Callable[[Identity], bytes]]] = {
    Fact.EMAIL_ID: lambda it: b"EMAILID (%b)" % it.email,  # RFC 8474 §5.1
    Fact.THREAD_ID: lambda it: b"THREADID (%b)" % it.thread,  # RFC 8474 §5.2
    Fact.SAVE_DATE: lambda it: b"SAVEDATE %b" % format_internal(it.saved),  # RFC 8514 §4.1
}
_HEADERS: Final = frozenset({"HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT"})


def spans(ranges: Ranges, rows: int) -> Iterator[list[tuple[int, int]]]:
    """Ranges of sequence numbers in batches of at most `rows` numbers."""
    return iter(Spans(ranges, rows))


class Spans:
    """Ranges of sequence numbers, given out in batches.

    Attributes:
        rows: Numbers in the next batch, at most.
    """

    __slots__ = ("_ranges", "rows")

    def __init__(self, ranges: Iterable[tuple[int, int]], rows: int) -> None:
        self._ranges = ranges
        self.rows = rows

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """The batches."""
        batch: list[tuple[int, int]] = []
        room = self.rows
        for first, last in self._ranges:
            start = first
            while start <= last:
                end = min(last, start + room - 1)
                batch.append((start, end))
                room -= end - start + 1
                start = end + 1
                if not room:
                    yield batch
                    batch, room = [], self.rows
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

    __slots__ = ("bits", "dates", "missed", "modseqs", "seqs", "sizes", "uids")

    def __init__(self, selected: Selected, batch: Sequence[tuple[int, int]]) -> None:
        mailbox, view = selected.mailbox, selected.view
        runs = [run for first, last in batch for run in view.runs(first, last)]
        cuts = [slice(run.position, run.position + run.length) for run in runs]
        self.seqs: Sequence[int] = _joined([range(run.seq, run.seq + run.length) for run in runs])
        self.uids: Sequence[int] = _joined([mailbox.uids[cut] for cut in cuts])
        self.bits: Sequence[int] = _joined([mailbox.flags[cut] for cut in cuts])
        self.modseqs: Sequence[int] = _joined([mailbox.modseqs[cut] for cut in cuts])
        self.sizes: Sequence[int] = _joined([mailbox.sizes[cut] for cut in cuts])
        self.dates: Sequence[int] = _joined([mailbox.dates[cut] for cut in cuts])
        self.missed = len(self.seqs) < sum(last - first + 1 for first, last in batch)
        ends = (self.uids[0], self.uids[-1]) if self.uids else None
        recent = view.recent_among(min(ends), max(ends)) if ends else None
        if recent:
            pairs = zip(self.uids, self.bits, strict=True)
            self.bits = [bits | RECENT if uid in recent else bits for uid, bits in pairs]


def _joined(columns: list[Sequence[int]]) -> Sequence[int]:
    return columns[0] if len(columns) == 1 else list(chain.from_iterable(columns))


class Table:
    """A batch of FETCH responses: the format of a row, and its columns."""

    __slots__ = ("_columns", "_formats", "_head", "_missing")

    def __init__(self, rows: Rows, *, uid_only: bool = False) -> None:
        self._head = b"* %d UIDFETCH (" if uid_only else b"* %d FETCH ("  # RFC 9586 §3.3
        self._formats: list[bytes] = []
        self._columns: list[Sequence[object]] = [rows.uids if uid_only else rows.seqs]
        self._missing: set[int] = set()

    def add(self, row: bytes, column: Sequence[object]) -> None:
        """Add an item, `row` being its format; a row with None in any column is left out."""
        self._formats.append(row)
        self._columns.append(column)
        if None in column:
            self._missing.update(place for place, cell in enumerate(column) if cell is None)

    def add_literals(self, label: bytes, column: Sequence[bytes | None]) -> None:
        """Add an item whose values are sent as literals."""
        sizes = [None if cell is None else len(cell) for cell in column]
        self.add(label.replace(b"%", b"%%") + b" {%d}\r\n%b", sizes)
        self._columns.append(column)

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
        return tellable((self._format() + b")\r\n") * count % tuple(cells))

    def heads(self) -> list[bytes | None]:
        """The responses as far as they go, ready for more items; None for one left out."""
        row = self._format() + b" " * bool(self._formats)
        whole = zip(*self._columns, strict=True)
        return [
            None if place in self._missing else row % cells for place, cells in enumerate(whole)
        ]

    def _format(self) -> bytes:
        return self._head + b" ".join(self._formats)

    def _living(self) -> list[Sequence[object]]:
        if not self._missing:
            return self._columns
        kept = [place for place in range(len(self._columns[0])) if place not in self._missing]
        return [[column[place] for place in kept] for column in self._columns]


class Fetching:
    """One FETCH under way.

    Attributes:
        missed: Some of the messages asked for are expunged.
        refusal: Why some of what was asked for could not be given (RFC 3516 §4.2).
    """

    def __init__(self, selected: Selected, items: Sequence[Item]) -> None:
        self._selected = selected
        self._uid_only = selected.view.manner.uid_only
        if self._uid_only and len(items) > 1:
            items = [item for item in items if item is not Fact.UID]  # it stands before them
        self._facts = [item for item in items if isinstance(item, Fact)]
        self._octets = [item for item in items if isinstance(item, Octets)]
        self._marks = (
            any(not item.peek for item in self._octets)
            and not selected.read_only
            and may_set("\\Seen", selected.mailbox.rights)
        )
        self._opens = not all(map(_within_header, self._octets))
        self._entire = bool(self._octets) and all(map(_entire, self._octets))
        self._excerpts = all(item.section.kind == "HEADER.FIELDS" for item in self._octets)
        self._identified = not _IDENTITIES.keys().isdisjoint(self._facts)
        self._waits = (
            bool(self._octets) or self._identified or not _RENDERINGS.keys().isdisjoint(self._facts)
        )
        self.missed = False
        self.refusal: No | None = None

    async def rows(self, ranges: Iterable[tuple[int, int]]) -> AsyncGenerator[bytes, None]:
        """The FETCH responses for these sequence numbers, in that order."""
        batches = Spans(ranges, self._first_rows())
        for batch in batches:
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
            await self._add_renderings(rows, table)
            if self._identified:
                await self._add_identities(rows, table)
            if self._entire and max(rows.sizes) <= PIECE and sum(rows.sizes) <= 2 * STEP:
                await self._add_entire(rows, table)
            elif self._opens or (not self._excerpts and max(rows.sizes) > LARGE):
                async for piece in gathered(self._messages(rows, table)):
                    yield piece
                batches.rows = self._next_rows(len(rows.uids), sum(rows.sizes))
                continue
            else:
                await self._add_headers(rows, table)
            self.missed |= table.missed
            lines = table.lines()
            for piece in pieces(lines):
                yield piece
            batches.rows = self._next_rows(len(rows.uids), len(lines))

    def _first_rows(self) -> int:
        if self._opens:
            return CONTENT_ROWS
        return HEADER_ROWS if self._waits else FACT_ROWS

    def _next_rows(self, rows: int, octets: int) -> int:
        """As many rows as come to `STEP` octets, if the next are like the last."""
        most = CONTENT_MOST if self._opens else FACT_ROWS if self._excerpts else HEADER_ROWS
        return max(1, min(most, rows * STEP // (octets + 1)))

    async def _mark_seen(self, rows: Rows) -> frozenset[int]:
        r"""Set ``\Seen``; give the UIDs that did not have it (RFC 3501 §6.4.5 BODY[])."""
        pairs = zip(rows.uids, rows.bits, strict=True)
        unseen = [Uid(uid) for uid, bits in pairs if not bits & SEEN]
        if not unseen:
            return frozenset()
        mailbox = self._selected.mailbox
        try:
            return frozenset((await mailbox.store(unseen, FlagAction.ADD, ["\\Seen"])).changed)
        except StoreRefused:
            return frozenset()  # a full disk is no reason not to show the message

    def _table(self, rows: Rows, fresh: frozenset[int]) -> Table:
        """The columns that the mailbox's arrays hold."""
        lists = FlagLists(self._selected.mailbox.keywords)
        table = Table(rows, uid_only=self._uid_only)
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
                case Fact.MODSEQ:
                    table.add(b"MODSEQ (%d)", rows.modseqs)
                case _:
                    pass  # of the index
        if fresh and Fact.FLAGS not in self._facts:
            # The change must be told                    (RFC 3501 §6.4.5, RFC 7162 §3.2.4)
            if self._selected.view.manner.modseqs:
                self._add_modseqs(rows, table)
            table.add(b"FLAGS %b", [lists[bits] for bits in rows.bits])
            self._selected.view.silence(rows.uids)
        return table

    def _add_modseqs(self, rows: Rows, table: Table) -> None:
        """The columns that go with flags which were not asked for."""
        if Fact.UID not in self._facts and not self._uid_only:
            table.add(b"UID %d", rows.uids)
        if Fact.MODSEQ not in self._facts:
            table.add(b"MODSEQ (%d)", rows.modseqs)

    async def _add_renderings(self, rows: Rows, table: Table) -> None:
        """The columns that the index keeps."""
        for fact in self._facts:
            what = _RENDERINGS.get(fact)
            if what is None:
                continue
            lazy = fact is Fact.LAZY_PREVIEW
            column = await self._selected.mailbox.rendered(what, uids_of(rows), make=not lazy)
            if lazy:
                column = [value or b"NIL" for value in column]
            if what is not Rendering.PREVIEW and not self._selected.view.manner.utf8:
                column = _downgraded(column)
            table.add(what.name.encode() + b" %b", column)

    async def _add_identities(self, rows: Rows, table: Table) -> None:
        """The columns that say what a message is, and since when it is here."""
        found = await self._selected.mailbox.identities(uids_of(rows))
        for fact in self._facts:
            shown = _IDENTITIES.get(fact)
            if shown is not None:
                table.add(b"%b", [None if it is None else shown(it) for it in found])

    async def _add_headers(self, rows: Rows, table: Table) -> None:
        """The columns for which header sections are enough."""
        mailbox = self._selected.mailbox
        sections: Sequence[bytes | None] | None = None
        for item in self._octets:
            if item.section.kind == "HEADER.FIELDS":
                column = await mailbox.fields(item.section.names, uids_of(rows))
            else:
                if sections is None:
                    sections = await mailbox.headers(uids_of(rows))
                column = [header and section(header, item.section) for header in sections]
            if item.partial:
                column = [None if found is None else cut(found, item.partial) for found in column]
            table.add_literals(item.label, column)

    async def _add_entire(self, rows: Rows, table: Table) -> None:
        """The columns of small messages that are wanted as they are."""
        found = await self._selected.mailbox.whole(uids_of(rows))
        for item in self._octets:
            column = found
            if item.partial:
                column = [None if each is None else cut(each, item.partial) for each in found]
            table.add_literals(item.label, column)

    async def _messages(self, rows: Rows, table: Table) -> AsyncGenerator[bytes, None]:
        """Rows with items that only the message itself can give."""
        whole = await self._whole(rows)
        for uid, size, head in zip(rows.uids, rows.sizes, table.heads(), strict=True):
            octets = whole.get(uid)
            try:
                if head is None:
                    self.missed = True
                elif octets is not None:
                    for piece in pieces(b"%b%b)\r\n" % (head, small(octets, self._octets))):
                        yield piece
                elif size > PIECE:
                    async for piece in self._large(head, uid):
                        yield piece
                else:
                    self.missed = True
            except UnknownEncoding as why:
                self.refusal = No(f"Cannot undo the encoding {why}", "UNKNOWN-CTE")

    async def _whole(self, rows: Rows) -> Mapping[int, bytes | None]:
        """The small messages of a batch, read in one go."""
        pairs = zip(rows.uids, rows.sizes, strict=True)
        uids = [Uid(uid) for uid, size in pairs if size <= PIECE]
        found = await self._selected.mailbox.whole(uids) if uids else ()
        return dict(zip(uids, found, strict=True))

    async def _large(self, head: bytes, uid: int) -> AsyncGenerator[bytes, None]:
        content = await self._selected.mailbox.content(Uid(uid))
        if content is None:
            self.missed = True
            return
        try:
            async for piece in self._streamed(head, uid, content):
                yield piece
        finally:
            content.close()

    async def _streamed(
        self, head: bytes, uid: int, content: Content
    ) -> AsyncGenerator[bytes, None]:
        known = self._selected.large
        if known is None or known.uid != uid:
            known = self._selected.large = Known(uid)
        sections = [item.section for item in self._octets]
        if not await study(self._selected.mailbox, uid, sections, known):
            self.missed = True
            return
        said = False
        async for piece in large(content, self._octets, known):
            if not said:
                said = True
                yield head
            yield piece
        yield b")\r\n"


async def gathered(small: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Pieces joined as far as may be: each costs something at every level above us."""
    found: list[bytes] = []
    size = 0
    async with aclosing(small):
        async for piece in small:
            if size and (size + len(piece) > PIECE or not piece):
                yield b"".join(found)
                found, size = [], 0
            if piece:
                found.append(piece)
                size += len(piece)
            else:
                yield b""
    if size:
        yield b"".join(found)


def uids_of(rows: Rows) -> Sequence[Uid]:
    """The UIDs of rows, as such."""
    return rows.uids  # type: ignore[return-value]  # they are such


def _entire(item: Octets) -> bool:
    """Whether an item is of a message's octets as they are."""
    return item.kind is Kind.BODY and item.section == Section()


def _downgraded(column: Sequence[bytes | None]) -> Sequence[bytes | None]:
    """Rendered values for a client that has not asked for UTF-8: as a rule they are ASCII."""
    if None not in column and all(map(bytes.isascii, column)):  # type: ignore[arg-type]  # no None
        return column
    return [value and downgraded(value) for value in column]


def _within_header(item: Octets) -> bool:
    """Whether the message's header section is all that is needed."""
    return not item.section.part and item.section.kind in _HEADERS and item.kind is Kind.BODY
