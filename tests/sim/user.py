"""Somebody who arranges mailboxes over IMAP, and knows what must be where afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from mailhub.sim.evidence import message_id_of
from mailhub.sim.hub import SimHub
from mailhub.sim.judge import Judge, id_of
from mailhub.sim.reading import Refused, Talk, login

Places = dict[str, int]
"""How often a message is in which mailboxes."""
QUEUE = "Queue"


class User:
    """One of a hub's users.

    Attributes:
        undone: How much of what was to be done was not answered with OK.
    """

    def __init__(self, judge: Judge, hub: SimHub, address: str) -> None:
        self.undone = 0
        self._judge = judge
        self._hub = hub
        self._address = address
        self._may: dict[str, list[Places]] = {}  # where a message may be, as far as is known
        self._flags: dict[str, list[frozenset[str]]] = {}  # flags that it may have
        self._touched: dict[str, set[str]] = {}  # flags that were ever changed
        self._talk: Talk

    def begin(self, *steps: Callable[[], Awaitable[None]]) -> None:
        """Do these, one after the other, as far as the connection stands."""

        self.undone += len(steps)

        async def work() -> None:
            self._talk = await login(
                self._hub.host, self._address, self._hub.passwords[self._address]
            )
            for step in steps:
                try:
                    await step()
                except Refused:
                    continue

        Deferred.fromCoroutine(work()).addErrback(lambda _: None)

    # ---- Steps -----------------------------------------------------------------------------

    async def append(self, name: str, mailbox: str) -> None:
        content = self._judge.letter(name, self._address, ())
        await self._change(name, {}, {mailbox: 1}, f"APPEND {mailbox} {{{len(content)}}}", content)

    async def move(self, name: str, source: str, target: str) -> None:
        uid, before = await self._find(name, source), self._places(name, source)
        both = {**before, target: before.get(target, 0) + 1}
        after = {**both, source: before[source] - 1}
        # A loss of power amid it may leave both names: directories are durable one by one.
        key = id_of(name), self._address
        self._judge.doubts[key] += 1
        await self._change(name, before, after, f"UID MOVE {uid} {target}", maybe=(both,))
        self._judge.doubts[key] -= 1

    async def copy(self, name: str, source: str, target: str) -> None:
        uid, before = await self._find(name, source), self._places(name, source)
        after = {**before, target: before.get(target, 0) + 1}
        await self._change(name, before, after, f"UID COPY {uid} {target}")

    async def expunge(self, name: str, mailbox: str) -> None:
        uid, before = await self._find(name, mailbox), self._places(name, mailbox)
        await self._talk.command(f"UID STORE {uid} +FLAGS (\\Deleted)")
        after = {**before, mailbox: before[mailbox] - 1}
        try:
            await self._change(name, before, after, f"UID EXPUNGE {uid}")
        except Refused:
            self._may[name] = [before, after]  # a disk that fails may have removed it
            raise

    async def flag(self, name: str, mailbox: str, flag: str) -> None:
        await self._store(name, mailbox, "+", flag)

    async def unflag(self, name: str, mailbox: str, flag: str) -> None:
        await self._store(name, mailbox, "-", flag)

    async def _store(self, name: str, mailbox: str, sign: str, flag: str) -> None:
        uid = await self._find(name, mailbox)
        self._touched.setdefault(name, set()).add(flag)
        [before] = self._flags.get(name, [frozenset()])
        after = before | {flag} if sign == "+" else before - {flag}
        self._flags[name] = [before, after]
        await self._talk.command(f"UID STORE {uid} {sign}FLAGS ({flag})")
        self._flags[name] = [after]
        self.undone -= 1

    async def cancel(self, name: str) -> None:
        """Remove a letter from the mailbox of what is sent."""
        uid = await self._waiting(name)
        self._judge.cancelled(name)
        await self._talk.command(f"UID STORE {uid} +FLAGS (\\Deleted)")
        await self._talk.command(f"UID EXPUNGE {uid}")
        self._judge.cancelled(name, surely=self._hub)
        self.undone -= 1

    async def take_back(self, name: str) -> None:
        """Move a letter from there to the drafts."""
        uid = await self._waiting(name)
        self._judge.cancelled(name)
        await self._change(name, {}, {"Drafts": 1}, f"UID MOVE {uid} Drafts")
        self._judge.cancelled(name, surely=self._hub)

    # ---- What they share -------------------------------------------------------------------

    def _places(self, name: str, known: str) -> Places:
        [places] = self._may.get(name, [{known: 1}])
        return places

    async def _change(
        self,
        name: str,
        before: Places,
        after: Places,
        command: str,
        literal: bytes | None = None,
        maybe: tuple[Places, ...] = (),
    ) -> None:
        """Give a command; until it is answered the message may be where it was, or is to be."""
        self._may[name] = [before, after, *maybe]
        try:
            await self._talk.command(command, literal)
        except Refused:
            self._may[name] = [before]
            raise
        self._may[name] = [after]
        self.undone -= 1

    async def _find(self, name: str, mailbox: str) -> int:
        await self._talk.command(f"SELECT {mailbox}")
        return await self._search(f"HEADER Message-ID {id_of(name)}")

    async def _waiting(self, name: str) -> int:
        await self._talk.command(f"SELECT {QUEUE}")
        return await self._search(f'SUBJECT "{name}"')

    async def _search(self, key: str) -> int:
        """The one message that fits."""
        answers = await self._talk.command(f"UID SEARCH {key}")
        found = [line.split()[2:] for line, _ in answers if line.startswith(b"* SEARCH")]
        if len(found[0]) != 1:
            raise Refused(f"{key}: {found}")
        return int(found[0][0])

    # ---- The verdict -----------------------------------------------------------------------

    def verdict(self) -> list[str]:
        """What is not where it must be, as the judge has seen it last."""
        found = []
        for name, allowed in self._may.items():
            places = Counter(
                shelf.name
                for shelf in self._judge.shelves[self._address].values()
                for octets in shelf.messages.values()
                if message_id_of(octets) == id_of(name)
            )
            if places not in [+Counter(each) for each in allowed]:
                found.append(f"{name} is in {dict(places)}, and not in {allowed}")
        for name, flags in self._flags.items():
            found += self._missing(name, flags)
        return found

    def _missing(self, name: str, allowed: list[frozenset[str]]) -> list[str]:
        """Flags that no copy of a message has; what was answered with OK outlives the machine."""
        seen = [
            shelf.flags[uid] & self._touched[name]
            for shelf in self._judge.shelves[self._address].values()
            for uid, octets in shelf.messages.items()
            if message_id_of(octets) == id_of(name)
        ]
        if not seen or any(flags in allowed for flags in seen):
            return []  # (whether it may be nowhere is another question)
        return [f"{name} has {seen}, and not {allowed}"]
