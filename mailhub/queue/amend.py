"""What operators do to recipients in the spool, as SQL: hold, release, flush, cancel, re-route.

An amendment is made in steps, each a transaction of its own, so that others can
write in between. Each step goes on where the one before ended: the whole costs
one pass over what `queue.choosing` finds for what is selected.
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mailhub.queue import rows
from mailhub.queue.change import Amend, Cancel, Flush, Hold, Release, Reroute, Respread
from mailhub.queue.choosing import Part, Way, conditions, found_by, way_of
from mailhub.queue.database import Database
from mailhub.queue.rows import State

LIMIT: Final = 5000
"""Recipients looked for in one step."""


class At(NamedTuple):
    """How far an amendment has got: the place in its states, and the last recipient.

    Attributes:
        local: Of the last item's reverse-path, where senders are gone through.
    """

    state: int = 0
    item: int = -1
    number: int = -1
    local: str = ""


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
            late = "AND r.due>? AND (r.attempts>0 OR i.release IS NULL OR r.due>i.release)"
            return _Plan((State.PENDING,), spread, (earliest, latest - earliest), late, (latest,))


def step(database: Database, change: Amend, at: At, limit: int) -> tuple[list[Key], At | None]:
    """Amend the next recipients, within a transaction; which, and where to go on, None at the end.

    What the recipients' strands and items need is for the caller to do.
    """
    plan, select = _plan(change), change.select
    where, way = conditions(select), way_of(select)
    state = plan.states[at.state]
    tables, order, behind = _order(way, at)
    by = found_by(select, state) if way in (Way.DOMAINS, Way.ACCOUNT) else Part("true")
    found = database.rows(
        "SELECT r.item, r.number, r.flow, r.domain, i.reverse_local"
        f" FROM {tables} WHERE r.state={state:d} AND {by.sql} {plan.also} {where.sql} {order}"
        " LIMIT ?",
        *by.parameters,
        *plan.parameters,
        *where.parameters,
        *behind,
        limit,
    )
    keys = [Key(*row[:4]) for row in found]
    database.execute_many(
        f"UPDATE recipient SET {plan.sets} WHERE item=? AND number=?",
        [(*plan.values, key.item, key.number) for key in keys],
    )
    if len(keys) == limit:
        return keys, At(at.state, keys[-1].item, keys[-1].number, found[-1][4])
    after = at.state + 1
    return keys, At(after) if after < len(plan.states) else None


def _order(way: Way, at: At) -> tuple[str, str, tuple[Any, ...]]:
    """Tables, conditions on where to go on, and what these are given."""
    if way in (Way.DOMAINS, Way.ACCOUNT):
        # What was amended is not found again: each step begins at the beginning.
        return "recipient r CROSS JOIN item i ON i.id=r.item", "", ()
    if way is Way.SENDER:
        tables = "item i INDEXED BY sender CROSS JOIN recipient r ON r.item=i.id"
        place = "(i.reverse_local, i.id, r.number)"
        behind: tuple[Any, ...] = (at.local, at.item, at.number)
        order = f"AND {place}>(?, ?, ?) ORDER BY i.reverse_local, i.id, r.number"
        return tables, order, behind
    order = "AND (r.item, r.number)>(?, ?) ORDER BY r.item, r.number"
    return "recipient r JOIN item i ON i.id=r.item", order, (at.item, at.number)
