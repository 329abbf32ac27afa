"""STORE and UID STORE, conditional or not (RFC 3501 §6.4.6, RFC 7162 §3.1.3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Final

from mailhub.imap.command import Store
from mailhub.imap.enabling import aware
from mailhub.imap.fetch import Fetching, Rows, Spans, uids_of
from mailhub.imap.item import Fact
from mailhub.imap.messages import completed, numbers
from mailhub.imap.permission import check_writable, steps
from mailhub.imap.portion import portion
from mailhub.imap.response import RECENT, No, Ok, number_set
from mailhub.imap.state import Output, Selected, State
from mailhub.mail.flag import KEYWORD_SHIFT, SYSTEM_FLAGS
from mailhub.ports.message import FlagAction, ModSeq, Stored, Uid

STORE_ROWS: Final = 500
"""Messages whose flags are changed in one step."""

_APPLY: Final[Mapping[FlagAction, Callable[[int, int], int]]] = {
    FlagAction.REPLACE: lambda _bits, given: given,
    FlagAction.ADD: lambda bits, given: bits | given,
    FlagAction.REMOVE: lambda bits, given: bits & ~given,
}


async def store(state: State, command: Store) -> AsyncGenerator[Output, None]:
    """STORE and UID STORE."""
    box = state.box
    check_writable(box)
    if command.unchanged_since is not None:
        yield aware(state)
    if command.by_uid:
        for piece in box.tell_arrivals():
            yield piece
    storing = _Storing(box, command)
    named = numbers(box, command.numbers, by_uid=command.by_uid)
    chosen = portion(box, named, state.limits.messages)
    for batch in Spans(chosen.downward(), STORE_ROWS):
        async for piece in storing.step(batch):
            yield piece
        yield b""
    if storing.changed:
        await box.mailbox.durable()
    for output in chosen.ended(storing.end()):
        yield output


class _Storing:
    """One STORE under way.

    Attributes:
        changed: It has changed any flags.
    """

    def __init__(self, box: Selected, command: Store) -> None:
        self.changed = False
        self._box = box
        self._command = command
        self._steps = steps(box, command.action, command.flags)
        self._modified: list[int] = []
        modseqs = box.view.manner.modseqs
        named = command.by_uid or modseqs  # RFC 7162 §3.2.4
        facts = [Fact.UID] * named + [Fact.MODSEQ] * modseqs
        self._fetching = Fetching(box, (*facts, *([] if command.silent else [Fact.FLAGS])))
        self._unchanged_since = command.unchanged_since
        if self._unchanged_since is not None and box.mailbox.doubtful(
            ModSeq(self._unchanged_since)
        ):
            self._unchanged_since = 0

    async def step(self, batch: list[tuple[int, int]]) -> AsyncGenerator[bytes, None]:
        """Change the flags of some messages, and tell of it."""
        box, command = self._box, self._command
        rows = Rows(box, batch)
        self._fetching.missed |= rows.missed
        if not rows.uids:
            return
        believed = self._believed(rows) if command.silent else {}
        stored = await self._change(uids_of(rows))
        box.view.catch_up()
        self.changed = self.changed or bool(stored.changed)
        self._modified += stored.modified
        if not command.silent:
            async for piece in self._fetching.rows(tuple(batch)):
                yield piece
            return
        self._silence({uid: believed[uid] for uid in believed.keys() - set(stored.modified)})
        # Whoever failed shall see why, and needs not ask                    (RFC 7162 §3.1.3)
        box.view.remind(stored.modified)
        if box.view.manner.modseqs:
            async for piece in self._fetching.rows(self._ranges(stored.changed)):
                yield piece

    def _believed(self, rows: Rows) -> dict[int, int]:
        """What flags the client takes messages to have, where it is right."""
        untold = self._box.view.untold(rows.uids)
        return {
            uid: bits & ~RECENT
            for uid, bits in zip(rows.uids, rows.bits, strict=True)
            if uid not in untold
        }

    async def _change(self, uids: Sequence[Uid]) -> Stored:
        """Change flags, those that may be changed (RFC 4314 §4)."""
        since = None if self._unchanged_since is None else ModSeq(self._unchanged_since)
        changed: set[Uid] = set()
        modified: tuple[Uid, ...] = ()
        for action, flags in self._steps:
            stored = await self._box.mailbox.store(uids, action, flags, since)
            changed.update(stored.changed)
            if stored.modified:
                modified = (*modified, *stored.modified)
                uids = [uid for uid in uids if uid not in stored.modified]
            since = None  # the next step would find our own change
        return Stored(tuple(sorted(changed)), modified)

    def _ranges(self, uids: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """The sequence numbers of messages whose flags need not be told."""
        view = self._box.view
        numbers = [seq for uid in uids if (seq := view.seq(uid)) is not None]
        return tuple((seq, seq) for seq in numbers)

    def _silence(self, believed: Mapping[int, int]) -> None:
        """Say nothing of flags that are what the client thinks, given what it asked for.

        Where another session changed them meanwhile they are not, and will be told
        (RFC 3501 §6.4.6).
        """
        box, command = self._box, self._command
        given = _bits(box, command.flags)
        apply = _APPLY[command.action]
        mailbox = box.mailbox
        for uid, bits in believed.items():
            place = mailbox.position(Uid(uid))
            if place is not None and mailbox.flags[place] == apply(bits, given):
                box.view.silence((uid,))

    def end(self) -> Ok | No:
        """How it ends."""
        missed = self._fetching.missed and not self._command.by_uid
        if not self._modified:
            return completed("Store", missed=missed)
        code = f"MODIFIED {self._failed()}"
        if missed:
            return No("Some of the messages no longer exist", code)  # RFC 7162 §3.1.3
        return Ok("Some had changed", code)

    def _failed(self) -> str:
        if self._command.by_uid:
            return number_set(sorted(self._modified))
        numbers = (self._box.view.seq(uid) for uid in sorted(self._modified))
        return number_set(number for number in numbers if number is not None)


def _bits(box: Selected, names: tuple[str, ...]) -> int:
    bits = 0
    keywords = [keyword.lower() for keyword in box.mailbox.keywords]
    for name in names:
        if name in SYSTEM_FLAGS:
            bits |= SYSTEM_FLAGS[name]
        elif name.lower() in keywords:
            bits |= 1 << keywords.index(name.lower()) + KEYWORD_SHIFT
    return bits
