"""What operators do to recipients in the spool, as SQL: hold, release, flush, cancel, re-route.

An amendment is made in steps, each a transaction of its own, so that others can
write in between. Each step goes on where the one before ended: the whole costs
one pass over what is selected, and where a domain is selected only over that.
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mailhub.queue import rows
from mailhub.queue.change import Amend, Cancel, Flush, Hold, Release, Reroute, Respread
from mailhub.queue.database import Database
from mailhub.queue.look import conditions
from mailhub.queue.rows import State

LIMIT: Final = 5000
"""Recipients looked for in one step."""


class At(NamedTuple):
    """How far an amendment has got: the place in its states, and the last recipient."""

    state: int = 0
    item: int = -1
    number: int = -1


START: Final = At()


class Key(NamedTuple):
    """A recipient that is amended."""

    item: int
    number: int
    flow: int
    domain: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """SQL of an amendment.

    Attributes:
        states: Of the recipients it is for.
        also: A further condition on them, with its parameters.
        sets: The columns that change, with their values.
    """

    states: tuple[State, ...]
    sets: str
    values: tuple[Any, ...]
    also: str = ""
    parameters: tuple[Any, ...] = ()


_OPEN: Final = (State.PENDING, State.HELD)
_SETTLED: Final = "attempts=0, warned=0, reply=NULL, host=NULL, why=NULL, cause=NULL, route=NULL"


def _plan(change: Amend) -> _Plan:
    match change:
        case Flush(now=now):
            return _Plan((State.PENDING,), "due=?", (now,), "AND r.due>?", (now,))
        case Hold(why=why):
            return _Plan((State.PENDING,), "state=1, why=?", (rows.printable(why),))
        case Release(now=now):
            return _Plan((State.HELD,), "state=0, why=NULL, due=?", (now,))
        case Cancel(now=now):
            sets = f"state={State.CANCELLED:d}, due=?, {_SETTLED}"
            return _Plan(_OPEN, sets, (now,))
        case Reroute(route=route, now=now):
            differs = "AND r.route IS NOT ?"
            return _Plan(
                _OPEN, "route=?, due=min(due, ?)", (route or None, now), differs, (route or None,)
            )
        case Respread(earliest=earliest, latest=latest):
            # The last bits of a queue id are random: chance enough for a little order.
            spread = "due=? + (item % 262144 * 7919 + number * 104729) % 100000 / 100000.0 * ?"
            late = "AND r.due>? AND r.attempts>0"
            return _Plan((State.PENDING,), spread, (earliest, latest - earliest), late, (latest,))


def step(database: Database, change: Amend, at: At, limit: int) -> tuple[list[Key], At | None]:
    """Amend the next recipients, within a transaction; which, and where to go on, None at the end.

    What the recipients' strands and items need is for the caller to do.
    """
    plan = _plan(change)
    where, parameters = conditions(change.select)
    state = plan.states[at.state]
    if change.select.domain is not None and not change.select.queue_ids:
        # What was amended is not found again: each step begins at the beginning.
        tables, order = _BY_DOMAIN
        behind: tuple[int, ...] = ()
    else:
        tables, order = _BY_ITEM
        behind = (at.item, at.number)
    found = database.rows(
        "SELECT r.item, r.number, r.flow, r.domain"
        f" FROM {tables} WHERE r.state={state:d} {plan.also} {where} {order} LIMIT ?",
        *plan.parameters,
        *parameters,
        *behind,
        limit,
    )
    keys = [Key(*row) for row in found]
    database.execute_many(
        f"UPDATE recipient SET {plan.sets} WHERE item=? AND number=?",
        [(*plan.values, key.item, key.number) for key in keys],
    )
    if len(keys) == limit:
        return keys, At(at.state, keys[-1].item, keys[-1].number)
    after = at.state + 1
    return keys, At(after) if after < len(plan.states) else None


_BY_DOMAIN: Final = (
    # The flows are few: so the index of strands serves for a domain alone, too.
    "recipient r CROSS JOIN item i ON i.id=r.item",
    "AND r.flow IN (SELECT id FROM flow)",
)
_BY_ITEM: Final = (
    "recipient r JOIN item i ON i.id=r.item",
    "AND (r.item, r.number)>(?, ?) ORDER BY r.item, r.number",
)
