"""Which items and recipients a person has chosen, as SQL: by which index they are found.

A selection is found by the narrowest thing in it that has an index: queue ids, then
domains of recipients, then the account, then the sender. What it says besides is
compared.

Invariants:

1. No way but `Way.ALL` looks at items, or recipients that wait, which are not in the
   index's part for what was chosen.
2. Recipients that are neither pending nor held have no index: they are found only
   among the items chosen otherwise, or by looking at all (`Way.ALL`).
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Final

from mailhub.mail.value import value
from mailhub.queue.change import Select
from mailhub.queue.ids import to_number
from mailhub.queue.rows import State

INDEXED: Final = frozenset({State.PENDING, State.HELD})


class Way(Enum):
    """By what a selection is found."""

    ITEMS = "queue ids"
    DOMAINS = "domains of recipients"
    ACCOUNT = "the account"
    SENDER = "the sender"
    ALL = "nothing: all are looked at"


@value(frozen=True, slots=True)
class Part:
    """A condition in SQL, with tables i (item) and r (recipient), and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def way_of(select: Select) -> Way:
    """By what a selection is found."""
    if select.queue_ids:
        return Way.ITEMS
    if domains_of(select):
        return Way.DOMAINS
    if select.account is not None:
        return Way.ACCOUNT
    if select.sender is not None or select.sender_domain is not None:
        return Way.SENDER
    return Way.ALL


def domains_of(select: Select) -> tuple[str, ...]:
    """The domains of the recipients that are chosen; none if any will do."""
    if select.recipient is not None:
        return (select.recipient.domain,)
    return (select.domain,) if select.domain is not None else select.domains


def conditions(select: Select) -> Part:
    """All that a selection says."""
    parts: list[Part] = []
    if select.queue_ids:
        numbers = json.dumps([to_number(each) for each in select.queue_ids])
        parts.append(Part("i.id IN (SELECT value FROM json_each(?))", (numbers,)))
    if select.sender is not None:
        parts.append(Part("i.reverse_local=? AND i.reverse_domain=?", (*_pair(select.sender),)))
    if select.sender_domain is not None:
        parts.append(Part("i.reverse_domain=?", (select.sender_domain,)))
    if select.account is not None:
        parts.append(Part("lower(i.account)=lower(?)", (str(select.account),)))
    parts += _of_recipients(select)
    sql = " ".join(f"AND {part.sql}" for part in parts)
    return Part(sql, tuple(it for part in parts for it in part.parameters))


def _of_recipients(select: Select) -> list[Part]:
    parts = []
    if select.recipient is not None:
        same = "r.local=? COLLATE NOCASE AND r.domain=?"
        parts.append(Part(same, _pair(select.recipient)))
    if select.domain is not None:
        parts.append(Part("r.domain=?", (select.domain,)))
    if select.domains:
        parts.append(Part(f"r.domain IN ({_EACH})", (json.dumps(list(select.domains)),)))
    return parts


def _pair(path: Any) -> tuple[str, str]:
    return path.local, path.domain


_EACH: Final = "SELECT value FROM json_each(?)"


def found_by(select: Select, state: State) -> Part:
    """What makes the index of a state be used for recipients of these domains, or this account."""
    domains = domains_of(select)
    if domains:
        if state is State.HELD or len(domains) == 1:
            # The flows are few: so the index of strands serves for a domain alone, too.
            return Part("r.flow IN (SELECT id FROM flow)")
        strands = f"SELECT flow, domain FROM strand WHERE domain IN ({_EACH})"
        return Part(f"(r.flow, r.domain) IN ({strands})", (json.dumps(list(domains)),))
    if select.account is not None:
        # Whose mail a flow is, is who has logged in (`relay.intake`).
        return Part(
            "r.flow IN (SELECT id FROM flow WHERE sender=?)", (str(select.account).casefold(),)
        )
    return Part("true")
