"""Suppression lists as files: CSV, in our own form and in those of others.

A file may have a line of headings; the columns are found by their names, among them
those of Amazon SES and Mailgun. Without one it has an address in each line's first column.

Pure: whoever has the file reads and writes it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mailhub.accounts.record import AccountsError, address, domain_name
from mailhub.mail.date import parse_date
from mailhub.policy.suppression import EVERYBODY, Entry, Reason, asdict

COLUMNS: Final = ("address", "domain", "reason", "at", "expires", "count", "reply", "queue_id")

COUNT_DIGITS: Final = 9
_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""No moment that is read is later: ISO 8601 has four digits for a year."""

_NAMES: Final = {
    "address": {"address", "email", "emailaddress", "recipient"},
    "domain": {"domain", "sendingdomain", "sender"},
    "reason": {"reason", "type"},
    "at": {"at", "createdat", "lastupdatetime", "lastupdatedtime", "date", "created", "timestamp"},
    "expires": {"expires", "expiresat", "until"},
    "count": {"count"},
    "reply": {"reply", "error", "description", "note", "why"},
    "queue_id": {"queueid"},
}
"""For each of our columns what it may be called, without case, blanks and marks."""
_REASONS: Final = {
    "bounce": Reason.HARD,
    "bounced": Reason.HARD,
    "hardbounce": Reason.HARD,
    "hardfail": Reason.HARD,
    "spam": Reason.COMPLAINT,
    "spamreport": Reason.COMPLAINT,
    "complained": Reason.COMPLAINT,
    "unsubscribe": Reason.MANUAL,
    "unsubscribed": Reason.MANUAL,
    **{reason.value: reason for reason in Reason},
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be used."""

    line: int
    why: str


def written(entries: Iterable[Entry]) -> Iterator[list[str]]:
    """Rows of a CSV file, with the headings."""
    yield list(COLUMNS)
    for entry in entries:
        values = asdict(entry)
        values |= {"at": _moment(entry.at), "expires": _moment(entry.expires)}
        yield [str(values[name]) for name in COLUMNS]


def read(
    lines: Iterable[str], domain: str, reason: Reason, now: float
) -> Iterator[Entry | Wrong | None]:
    """The entries of a file, line by line; None for what says nothing.

    `domain` and `reason` are for lines that do not tell their own; without a `domain` each must.
    """
    reader = csv.reader(lines)
    columns: dict[str, int] | None = None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Wrong(reader.line_num, str(error))
            continue
        if not any(cell.strip() for cell in row) or row[0].lstrip().startswith("#"):
            yield None
            continue
        if columns is None:
            columns = _headings(row)
            if columns is not None:
                yield None
                continue
            columns = {"address": 0}
            if len(row) > 1 and _plain(row[1]) in _REASONS:  # as Amazon SES takes them
                columns["reason"] = 1
        try:
            yield _entry(row, columns, domain, reason, now)
        except (ValueError, AccountsError) as error:
            yield Wrong(reader.line_num, str(error))


def _headings(row: list[str]) -> dict[str, int] | None:
    """Where each column is, if this is a line of headings: one that names addresses."""
    found: dict[str, int] = {}
    for place, cell in enumerate(row):
        for name, spellings in _NAMES.items():
            if _plain(cell) in spellings:
                found.setdefault(name, place)
    return found if "address" in found else None


def _entry(
    row: list[str], columns: dict[str, int], domain: str, reason: Reason, now: float
) -> Entry:
    def cell(name: str) -> str:
        place = columns.get(name, len(row))
        return row[place].strip() if place < len(row) else ""

    path = address(cell("address"))
    list_of = _domain(cell("domain")) or domain
    if not list_of:
        raise ValueError("whose list is meant? Name a sending --domain, or '*' for all")
    count = cell("count") or "1"
    if not (count.isdecimal() and len(count) <= COUNT_DIGITS):
        raise ValueError(f"expected a number of times, not {count}")
    return Entry(
        list_of,
        path.key,
        _reason(cell("reason")) or reason,
        _read_moment(cell("at"), now),
        _read_moment(cell("expires"), 0.0),
        int(count),
        cell("reply"),
        cell("queue_id"),
    )


def _domain(text: str) -> str:
    """A sending domain; of an address the domain."""
    if text in ("", EVERYBODY):
        return text
    return domain_name(text.rpartition("@")[2])


def _reason(text: str) -> Reason | None:
    if not text:
        return None
    found = _REASONS.get(_plain(text))
    if found is None:
        known = ", ".join(reason.value for reason in Reason)
        raise ValueError(f"no reason is called {text}; there are: {known}")
    return found


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _moment(seconds: float) -> str:
    """A moment as ISO 8601 has it; ``""`` for never."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _read_moment(text: str, otherwise: float) -> float:
    """A moment in one of the forms that are met: ISO 8601, a mail's date, seconds."""
    if not text:
        return otherwise
    moment = _seconds(text)
    if moment is None or not 0 <= moment <= _LAST:  # nor "nan"
        raise ValueError(f"expected a date such as 2026-11-03, not {text}")
    return moment


def _seconds(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    moment = parse_date(text)
    return None if moment is None else float(moment.seconds)
