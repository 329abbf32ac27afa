"""Journeys on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailhub.ports.outgoing import QueueId
from mailhub.queue import journeys, wanted
from mailhub.queue.event import Accepted, Dismissed, Event, Fated, State
from mailhub.queue.ids import number_at, to_number, to_queue_id
from mailhub.queue.journeys import ASIDE, DATABASE, Journeys
from mailhub.queue.wanted import Wanted
from tests.queue import given

NOW = 1_800_000_000.0


def queue_id(moment: float, n: int = 0) -> QueueId:
    return to_queue_id(number_at(moment) + n)


def taken(
    at: float = NOW, sender: str = "a@hub.example", to: str = "b@far.example", more: str = ""
) -> Accepted:
    return Accepted(
        at, at, sender, (to,), 10, account=sender, message_id=f"<{at:g}@hub.example>", subject=more
    )


SENT = Fated(NOW + 1, (0,), State.RELAYED)


def opened(directory: Path, **options: Any) -> Journeys:
    return Journeys(str(directory), now=NOW, **options)


def events(made: Journeys, queue_id: QueueId) -> list[Event]:
    return [event for part in made.load(queue_id) for event in part.events]


def test_written_and_read(tmp_path: Path) -> None:
    """What happened is read in the order of its parts, by this process and the next."""
    made = opened(tmp_path)
    one, two = queue_id(NOW), queue_id(NOW, 1)
    parts = made.write({one: [taken()], two: [taken()]})
    assert [part.queue_id for part in parts] == [one, two]
    [third] = made.write({one: [SENT]})
    assert events(made, one) == [taken(), SENT]
    made.close()
    again = opened(tmp_path)
    assert events(again, one) == [taken(), SENT]
    assert again.latest == third.number == parts[-1].number + 1
    assert again.later(parts[0].number) == [parts[1], third]
    assert again.load(queue_id(NOW, 9)) == []


def test_many_at_once(tmp_path: Path) -> None:
    """More rows than one statement takes are written all the same."""
    made = opened(tmp_path)
    ids = [queue_id(NOW, n) for n in range(2 * journeys.TOGETHER + 7)]
    parts = made.write({each: [taken(to=f"{each}@far.example")] for each in ids})
    assert [part.queue_id for part in parts] == ids
    assert all(events(made, each) for each in ids)
    assert made.find(Wanted(recipient=f"{ids[-1]}@far.example")) == [ids[-1]]


def test_found_by_names(tmp_path: Path) -> None:
    """All that is asked must fit; addresses in any case, a Message-ID without its brackets."""
    made = opened(tmp_path)
    one, two, three = (queue_id(NOW + n) for n in range(3))
    made.write(
        {
            one: [taken(NOW)],
            two: [taken(NOW + 1, to="c@far.example")],
            three: [taken(NOW + 2, sender="z@hub.example")],
        }
    )
    assert made.find(Wanted(sender="A@Hub.example")) == [two, one]
    assert made.find(Wanted(recipient="B@far.example")) == [three, one]
    assert made.find(Wanted(sender="a@hub.example", recipient="b@far.example")) == [one]
    assert made.find(Wanted(message_id=f"{NOW:g}@hub.example")) == [three, two, one]
    assert made.find(Wanted(account="z@hub.example")) == [three]
    assert made.find(Wanted(since=NOW + 0.5)) == [three, two]
    assert made.find(Wanted(sender="a@hub.example", since=NOW + 0.5)) == [two]
    assert made.find(Wanted(), limit=1) == [three]
    assert made.find(Wanted(sender="nobody@hub.example")) == []


def test_a_checksum_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that only have the same checksum are told apart."""
    monkeypatch.setattr(wanted, "crc32", lambda octets: 7)
    made = opened(tmp_path)
    one, two = queue_id(NOW), queue_id(NOW, 1)
    made.write({one: [taken()], two: [taken(sender="z@hub.example")]})
    assert made.find(Wanted(sender="z@hub.example")) == [two]


def test_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are found in whichever bucket they lie, also after a start."""
    monkeypatch.setattr(journeys, "BUCKET", 4)
    made = opened(tmp_path)
    ids = [queue_id(NOW + n) for n in range(5)]
    for each in ids:
        made.write({each: [taken()]})
    made.close()
    again = opened(tmp_path)
    again.write({queue_id(NOW + 9): [taken()]})
    assert again.find(Wanted(sender="a@hub.example")) == [queue_id(NOW + 9), *reversed(ids)]


# ---- Removing ------------------------------------------------------------------------------


def test_the_old_go(tmp_path: Path) -> None:
    """What is older than it is kept goes, its names too; what is younger stays."""
    made = opened(tmp_path)
    old, young = queue_id(NOW), queue_id(NOW + 100)
    made.write({old: [taken()]})
    made.write({young: [taken(NOW + 100)], old: [SENT]})
    assert made.purge(NOW + 50, 1 << 30) == 1
    assert made.load(old) == []
    assert made.find(Wanted(sender="a@hub.example")) == [young]
    assert made.purge(NOW + 50, 1 << 30) == 0


def test_what_is_queued_stays(tmp_path: Path) -> None:
    """The journey of a message that is still in the spool stays, and goes when that has left."""
    alive = {to_number(queue_id(NOW))}

    def present(numbers: Sequence[int]) -> set[int]:
        return alive & set(numbers)

    made = opened(tmp_path, alive=present)
    old, other = queue_id(NOW), queue_id(NOW, 1)
    made.write({old: [taken()], other: [taken()]})
    assert made.purge(NOW + 50, 1 << 30) == 1
    assert made.load(old)
    alive.clear()
    made.purge(NOW + 50, 1 << 30)
    assert made.purge(NOW + 50, 1 << 30) == 1
    assert made.load(old) == []


def test_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit the oldest go, and the file stays as large as that."""
    monkeypatch.setattr(journeys, "BUCKET", 50)
    limit = 300_000
    made = opened(tmp_path)
    for n in range(1000):
        made.write({queue_id(NOW + n): [taken(NOW + n, more="x" * 900)]})
        while made.size > limit and made.purge(0.0, limit):
            pass
    assert made.size <= limit * 1.1
    assert not made.load(queue_id(NOW))
    assert made.load(queue_id(NOW + 999))
    found = made.find(Wanted(sender="a@hub.example"), limit=1000)
    assert 100 < len(found) < 600
    assert found[0] == queue_id(NOW + 999)


def test_buckets_go_with_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket is removed whole; what it names and is still here is found by another one."""
    monkeypatch.setattr(journeys, "BUCKET", 4)
    kept = queue_id(NOW)
    made = opened(tmp_path, alive=lambda numbers: {to_number(kept)})
    for n in range(6):
        made.write({queue_id(NOW + n): [taken(NOW + n)]})
    while made.purge(NOW + 4.5, 1 << 30):
        pass
    assert made.find(Wanted(sender="a@hub.example")) == [queue_id(NOW + 5), kept]
    buckets = made._rows("SELECT count(DISTINCT bucket) FROM named")
    assert buckets == [(2,)]


# ---- When the disk fails -----------------------------------------------------------------------


def test_unreadable(tmp_path: Path) -> None:
    """A database that cannot be read is set aside: no mail waits for it."""
    (tmp_path / DATABASE).write_bytes(b"nonsense" * 1000)
    made = opened(tmp_path)
    made.write({queue_id(NOW): [taken()]})
    assert events(made, queue_id(NOW)) == [taken()]
    assert (tmp_path / (DATABASE + ASIDE)).exists()


def test_a_disk_that_fails(tmp_path: Path) -> None:
    """What cannot be read for the disk's sake is not set aside: it is as good as it was."""
    made = opened(tmp_path)
    made.write({queue_id(NOW): [taken()]})
    made.close()

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        raise given.sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")

    with pytest.raises(OSError, match="is full"):
        opened(tmp_path, connect=connect)
    assert events(opened(tmp_path), queue_id(NOW)) == [taken()]


def test_killed_at_its_first_start(tmp_path: Path) -> None:
    """Whatever of its tables had been made, the next start makes all of them."""

    class Killed(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.strip().startswith("CREATE INDEX"):
                raise KeyboardInterrupt
            return super().execute(sql, *values)

    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, connect=partial(sqlite3.connect, factory=Killed))
    made = opened(tmp_path)
    made.write({queue_id(NOW): [taken()]})
    assert events(made, queue_id(NOW)) == [taken()]


def test_only_looking(tmp_path: Path) -> None:
    """Whoever only looks makes no database, and sets none aside."""
    with pytest.raises(FileNotFoundError):
        opened(tmp_path, begin=False)
    (tmp_path / DATABASE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(OSError, match="not a database"):
        opened(tmp_path, begin=False)
    assert not (tmp_path / (DATABASE + ASIDE)).exists()


def test_a_later_version(tmp_path: Path) -> None:
    """What a later mailhub wrote is left alone by one that only looks."""
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as other:
        other.execute("PRAGMA user_version=99")
    with pytest.raises(OSError, match="another mailhub"):
        opened(tmp_path, begin=False)


def test_a_full_disk(tmp_path: Path) -> None:
    """A batch that the disk refuses is an `OSError`, and the next one can be written."""
    made = opened(tmp_path)
    made._database.execute(f"PRAGMA max_page_count={made._row('PRAGMA page_count')[0]}")
    with pytest.raises(OSError, match="full"):
        made.write({queue_id(NOW): [taken(more="x" * 100_000)]})
    made._database.execute("PRAGMA max_page_count=100000")
    made.write({queue_id(NOW): [taken()]})
    assert events(made, queue_id(NOW)) == [taken()]


def test_recent(tmp_path: Path) -> None:
    """An account's mail that is queued, or has changed lately, the latest change last."""
    alive = {to_number(queue_id(NOW))}
    made = opened(tmp_path, alive=lambda numbers: alive & set(numbers))
    queued, gone, failed, fresh, other = (queue_id(NOW + n) for n in (0, 1, 2, 100, 101))
    for each in (queued, gone, failed):
        made.write({each: [taken()]})
    made.write({fresh: [taken(NOW + 100)], other: [taken(NOW + 101, sender="z@hub.example")]})
    made.write({failed: [SENT]})

    def found(limit: int = 9) -> list[QueueId]:
        return [parts[0].queue_id for parts in made.recent("a@hub.example", NOW + 50, limit)]

    assert found() == [queued, fresh, failed]
    assert found(2) == [fresh, failed]
    assert made.recent("nobody@hub.example", NOW, 9) == []


# ---- UIDs --------------------------------------------------------------------------------------


def test_uids_last(tmp_path: Path) -> None:
    """UIDVALIDITY is the same after a start."""
    made = opened(tmp_path)
    made.write({queue_id(NOW): [taken()]})
    assert made.uids(NOW + 5) == (int(NOW), 0)
    made.close()
    assert Journeys(str(tmp_path), now=NOW + 9).uids(NOW + 9) == (int(NOW), 0)


def test_uids_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When 32 bits are used up, UIDs begin anew under a greater UIDVALIDITY."""
    monkeypatch.setattr(journeys, "UID_LIMIT", 3)
    made = opened(tmp_path)
    for n in range(3):
        made.write({queue_id(NOW + n): [taken(NOW + n)]})
    made.purge(NOW + 1.5, 1 << 30)
    validity, floor = made.uids(NOW)
    assert validity == int(NOW) + 1
    assert floor == 2
    assert made.latest - floor >= 1


def test_dismissed_only(tmp_path: Path) -> None:
    """An event without the message's beginning is kept, and found by its id alone."""
    made = opened(tmp_path)
    made.write({queue_id(NOW): [Dismissed(NOW, "a@hub.example")]})
    assert events(made, queue_id(NOW)) == [Dismissed(NOW, "a@hub.example")]
    assert made.find(Wanted(account="a@hub.example")) == []
