"""The suppression lists on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.mail.address import Path as Address
from mailhub.policy.returnpath import Key
from mailhub.policy.suppression import Entry, Reason
from mailhub.queue.suppressions import DATABASE, Selection, Suppressions

NOW = 1_000_000.0
BOB = Address("Bob", "far.example")
DAY = 86_400.0


def entry(
    address: str = "bob@far.example",
    domain: str = "shop.example",
    reason: Reason = Reason.HARD,
    expires: float = NOW + DAY,
) -> Entry:
    return Entry(domain, address, reason, NOW, expires, 1, "550 5.1.1 No", "0k3m9x7c4e2d")


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Suppressions]:
    made = Suppressions(str(tmp_path))
    yield made
    made.close()


class TestFinding:
    def test_found(self, lists: Suppressions) -> None:
        """An address is found on the list of a domain, however its case is."""
        lists.put([entry()])
        assert lists.find("shop.example", BOB, NOW) == entry()
        assert lists.find("shop.example", Address("bobby", "far.example"), NOW) is None

    def test_each_domain_has_its_own(self, lists: Suppressions) -> None:
        """What one domain may not send, another may."""
        lists.put([entry()])
        assert lists.find("other.example", BOB, NOW) is None

    def test_everybody(self, lists: Suppressions) -> None:
        """An entry for all domains counts for each; a domain's own comes before it."""
        lists.put([entry(domain="*")])
        assert lists.find("other.example", BOB, NOW) == entry(domain="*")
        lists.put([entry(domain="other.example", reason=Reason.MANUAL)])
        found = lists.find("other.example", BOB, NOW)
        assert found is not None
        assert found.reason is Reason.MANUAL

    def test_ended(self, lists: Suppressions) -> None:
        """One that has ended counts no more; one without an end always does."""
        lists.put([entry()])
        assert lists.find("shop.example", BOB, NOW + DAY) is None
        lists.put([entry(expires=0.0)])
        assert lists.find("shop.example", BOB, NOW * 1000) is not None

    def test_other_processes(self, lists: Suppressions) -> None:
        """What another connection writes is in force at once."""
        other = lists.another()
        other.put([entry()])
        assert lists.find("shop.example", BOB, NOW) is not None
        other.remove("bob@far.example")
        assert lists.find("shop.example", BOB, NOW) is None
        other.close()

    def test_words_that_are_no_text(self, lists: Suppressions) -> None:
        """A reply with octets that are no UTF-8 is kept as well as can be."""
        lists.put([replace(entry(), reply="550 \udcff")])
        assert lists.of("bob@far.example")[0].reply == "550 ?"


class TestStrikes:
    def strike(self, lists: Suppressions, new: Entry, least: int = 1) -> list[Entry]:
        return lists.strike([new], least, 10 * DAY, new.at)

    def test_one_is_enough(self, lists: Suppressions) -> None:
        """Where one strike suffices, the address is on the list at once."""
        assert self.strike(lists, entry()) == [entry()]
        assert lists.exact("shop.example", "bob@far.example") == entry()

    def test_several(self, lists: Suppressions) -> None:
        """Where it takes more, they are counted; those that are too old are not."""
        days = (0, 15, 16, 17)
        put = [self.strike(lists, replace(entry(), at=NOW + day * DAY), 3) for day in days]
        assert [bool(it) for it in put] == [False, False, False, True]

    def test_reasons_are_counted_apart(self, lists: Suppressions) -> None:
        """A strike of one kind adds nothing to those of another."""
        assert not self.strike(lists, entry(), 2)
        later = replace(entry(reason=Reason.EXPIRED), at=NOW + 1)
        assert not self.strike(lists, later, 2)

    def test_again(self, lists: Suppressions) -> None:
        """On the list already it is counted, whatever it takes to get there."""
        lists.put([entry()])
        [found] = self.strike(lists, replace(entry(), at=NOW + 1, expires=NOW + 2 * DAY), 5)
        assert (found.count, found.expires) == (2, NOW + 2 * DAY)

    def test_a_persons_word_stands(self, lists: Suppressions) -> None:
        """What happens to mail changes no reason that somebody has set, and no endless one ends."""
        lists.put([entry(reason=Reason.MANUAL, expires=0.0)])
        [found] = self.strike(lists, entry())
        assert (found.reason, found.expires, found.count) == (Reason.MANUAL, 0.0, 2)

    def test_ended_ones_begin_anew(self, lists: Suppressions) -> None:
        """An entry that has ended is no entry."""
        lists.put([entry(reason=Reason.COMPLAINT, expires=NOW - 1)])
        [found] = self.strike(lists, entry())
        assert (found.reason, found.count) == (Reason.HARD, 1)


class TestRemoving:
    def test_from_one_list(self, lists: Suppressions) -> None:
        """From one list, or from all."""
        lists.put([entry(), entry(domain="other.example"), entry("eve@far.example")])
        assert lists.remove("bob@far.example", "shop.example") == 1
        assert [it.domain for it in lists.of("bob@far.example")] == ["other.example"]
        assert lists.remove("bob@far.example") == 1
        assert lists.count() == 1

    def test_for_one_reason(self, lists: Suppressions) -> None:
        """A complaint that is taken back takes no other reason with it."""
        lists.put([entry()])
        assert lists.remove("bob@far.example", "shop.example", Reason.COMPLAINT) == 0
        assert lists.count() == 1

    def test_strikes_too(self, lists: Suppressions) -> None:
        """Whoever is taken off begins anew."""
        lists.strike([entry()], 2, DAY, NOW)
        lists.remove("bob@far.example")
        assert not lists.strike([replace(entry(), at=NOW + 1)], 2, DAY, NOW + 1)

    def test_cleared(self, lists: Suppressions) -> None:
        """All of a selection, a few at a time."""
        lists.put([entry(f"u{n}@far.example") for n in range(5)])
        lists.put([entry("bob@near.example")])
        gone = []
        while count := lists.clear(Selection(to="far.example"), 2):
            gone.append(count)
        assert gone == [2, 2, 1]
        assert [it.address for it in lists.page()] == ["bob@near.example"]

    def test_purged(self, lists: Suppressions) -> None:
        """What has ended goes; what has not stays, and so does what never ends."""
        lists.put([entry(), entry("eve@far.example", expires=0.0)])
        lists.put([entry("old@far.example", expires=NOW - 1)])
        lists.strike([replace(entry("x@far.example"), at=NOW - 3 * DAY)], 2, DAY, NOW)
        assert lists.purge(NOW, 2 * DAY) == 2
        assert [it.address for it in lists.page()] == ["bob@far.example", "eve@far.example"]


class TestPages:
    def test_all_in_order(self, lists: Suppressions) -> None:
        """Page behind page, each entry is seen once."""
        lists.put([entry(f"u{n}@far.example", f"d{n % 2}.example") for n in range(7)])
        seen: list[Entry] = []
        after = ("", "")
        while page := lists.page(after=after, limit=3):
            seen += page
            after = page[-1].address, page[-1].domain
        assert [it.address for it in seen] == [f"u{n}@far.example" for n in range(7)]

    @pytest.mark.parametrize(
        ("selection", "count"),
        [
            (Selection(), 3),
            (Selection(domain="shop.example"), 2),
            (Selection(reason=Reason.COMPLAINT), 1),
            (Selection(to="near.example"), 1),
            (Selection(to="ar.example"), 0),
            (Selection(since=NOW + 1), 0),
            (Selection(domain="shop.example", reason=Reason.COMPLAINT), 0),
        ],
    )
    def test_selected(self, lists: Suppressions, selection: Selection, count: int) -> None:
        """By domain, by reason, by the domain written to, by time."""
        lists.put([entry(), entry("eve@near.example")])
        lists.put([entry(domain="other.example", reason=Reason.COMPLAINT)])
        assert lists.count(selection) == len(lists.page(selection)) == count

    def test_totals(self, lists: Suppressions) -> None:
        """How many are in force, by domain and reason."""
        lists.put([entry(), entry("a@far.example"), entry("b@far.example", expires=NOW - 1)])
        assert lists.totals(NOW) == {("shop.example", Reason.HARD): 2}


class TestKeys:
    def test_kept(self, lists: Suppressions, tmp_path: Path) -> None:
        """They are kept over restarts, in a file that nobody else can read."""
        keys = (Key(10, b"one"), Key(20, b"two"))
        lists.keep_keys(keys)
        lists.keep_keys(keys[1:])
        other = lists.another()
        assert other.keys() == keys[1:]
        other.close()
        assert os.stat(tmp_path / DATABASE).st_mode & 0o077 == 0
