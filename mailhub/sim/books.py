"""What a simulation counts: of each provider when how much came, and what stood in the way.

Invariants:

1. A recipient is at one place at a time: not handed in yet, waiting, delivered, bounced or
   refused by the hub; delivered stays delivered, and what comes again is a duplicate.
2. Memory is a few octets for each recipient, and a few hundred for each slot of time in
   which something happened.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from mailhub.policy.returnpath import PREFIX
from mailhub.sim.campaign import Addresses
from mailhub.sim.manners import Why
from mailhub.sim.receiver import Message, Receiver

SLOT: Final = 10.0
"""Seconds: the finest that is told of the course of things."""

_AUTHOR: Final = re.compile(rb"^From: <([^>]*)>", re.MULTILINE)
_TO_COME, _WAITING, _DELIVERED, _BOUNCED, _REFUSED = range(5)


@dataclass(slots=True)
class Slot:
    """What happened in a stretch of time."""

    handed_in: int = 0
    delivered: int = 0
    gone: int = 0
    """Bounced, or refused by the hub."""
    connections: int = 0
    refused: Counter[Why] = field(default_factory=Counter)


@dataclass(slots=True)
class Account:
    """All about one provider."""

    name: str
    slots: dict[int, Slot] = field(default_factory=dict)
    handed_in: int = 0
    delivered: int = 0
    bounced: int = 0
    refused: int = 0
    duplicates: int = 0
    in_doubt: int = 0
    suppressed: int = 0
    """Of those bounced: the hub did not send to them, for they are on a suppression list."""
    returned: int = 0
    """Bounced after they had been delivered."""
    complaints: int = 0
    first: float = -1.0
    last: float = -1.0
    deferrals: Counter[Why] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)
    """Recipients delivered, by the second of the world's age."""

    @property
    def waiting(self) -> int:
        """Handed in, and nothing more."""
        return self.handed_in - self.delivered - self.bounced - self.refused

    def slot(self, age: float) -> Slot:
        """The slot of a moment."""
        number = int(age // SLOT)
        found = self.slots.get(number)
        if found is None:
            found = self.slots[number] = Slot()
        return found

    def reached(self, part: float) -> float | None:
        """The age at which this part of those who got it at all had it."""
        wanted, sum_ = part * self.delivered, 0
        for second in sorted(self.seconds):
            sum_ += self.seconds[second]
            if sum_ >= wanted:
                return min(second + 1.0, self.last)
        return None

    def handed(self, part: float) -> float:
        """The age at which this part was handed in, to the slot."""
        wanted, sum_ = part * self.handed_in, 0
        for number in sorted(self.slots):
            sum_ += self.slots[number].handed_in
            if sum_ >= wanted:
                return number * SLOT
        return 0.0


class Ledger:
    """A `receiver.Books` for a campaign.

    Attributes:
        others: Messages that are not the campaign's.
    """

    def __init__(self, addresses: Addresses, total: int, providers: list[str]) -> None:
        self._addresses = addresses
        self._total = total
        self._state = bytearray(total)
        self._whose = bytearray(total)
        self._names = {name: number for number, name in enumerate(providers)}
        self.accounts = [Account(name) for name in providers]
        self.settled = 0
        self.others = 0
        self.start = 0.0

    @property
    def over(self) -> bool:
        """Whether every recipient has met its fate."""
        return self.settled >= self._total

    # ---- The hub's side --------------------------------------------------------------------

    def handed_in(self, number: int, provider: str, now: float) -> None:
        """The hub took a message for a recipient."""
        if self._state[number] != _TO_COME:
            return
        account = self._account(number, provider)
        self._state[number] = _WAITING
        account.slot(now - self.start).handed_in += 1
        account.handed_in += 1
        if account.first < 0:
            account.first = now - self.start

    def refused_by_hub(self, number: int, provider: str, now: float) -> None:
        """The hub would not take it."""
        if self._state[number] != _TO_COME:
            return
        account = self._account(number, provider)
        self._state[number] = _REFUSED
        account.handed_in += 1
        account.refused += 1
        account.slot(now - self.start).gone += 1
        self.settled += 1

    def _account(self, number: int, provider: str) -> Account:
        place = self._names[provider]
        self._whose[number] = place
        return self.accounts[place]

    def bounced(self, sender: str, path: str, now: float, *, suppressed: bool = False) -> None:
        """The sender was told that a recipient will not have it; perhaps it was not even sent."""
        number = self._addresses.number(sender, path)
        if number is None or self._state[number] != _WAITING:
            return
        account = self.accounts[self._whose[number]]
        self._state[number] = _BOUNCED
        account.bounced += 1
        account.suppressed += suppressed
        account.slot(now - self.start).gone += 1
        self.settled += 1

    # ---- The receivers' side: `receiver.Books` ---------------------------------------------

    def accepted(self, receiver: Receiver, message: Message, now: float, *, heard: bool) -> None:
        """See `receiver.Books`, here and below."""
        account = self.accounts[self._names[receiver.manners.name]]
        age = now - self.start
        slot = account.slot(age)
        sender = author(message)
        for path in message.recipients:
            number = self._addresses.number(sender, path)
            if number is None:
                self.others += 1
                continue
            account.in_doubt += not heard
            self._delivered(account, number, age, slot)

    def _delivered(self, account: Account, number: int, age: float, slot: Slot) -> None:
        state = self._state[number]
        if state != _TO_COME:
            account = self.accounts[self._whose[number]]  # it may have come by a detour
        if state == _DELIVERED:
            account.duplicates += 1
            return
        if state == _TO_COME:  # the hub was quicker than its own reply to the application
            self.handed_in(number, account.name, self.start + age)
        if state == _BOUNCED:  # and yet
            account.bounced -= 1
            self.settled -= 1
        self._state[number] = _DELIVERED
        account.delivered += 1
        account.last = age
        account.seconds[int(age)] += 1
        slot.delivered += 1
        self.settled += 1

    def afterwards(self, receiver: Receiver, now: float, *, bounced: bool) -> None:  # noqa: ARG002
        account = self.accounts[self._names[receiver.manners.name]]
        account.returned += bounced
        account.complaints += not bounced

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None:
        account = self.accounts[self._names[receiver.manners.name]]
        account.deferrals[why] += max(number, 1)
        account.slot(now - self.start).refused[why] += max(number, 1)

    def calls(self, receiver: Receiver, open_: int, now: float) -> None:
        slot = self.accounts[self._names[receiver.manners.name]].slot(now - self.start)
        slot.connections = max(slot.connections, open_)


def author(message: Message) -> str:
    """Who has sent a message: its author, where the reverse-path is one of the hub's own."""
    if not message.sender.startswith(PREFIX):
        return message.sender
    found = _AUTHOR.search(message.content)
    return message.sender if found is None else found[1].decode("utf-8", "replace")
