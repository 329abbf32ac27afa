"""The upkeep of suppression lists, in a whole hub."""

from __future__ import annotations

from dataclasses import replace

from mailhub.policy.suppression import Action, Entry, Reason
from mailhub.relay.suppressing import KEEP_EVERY
from tests.relay.campaigning import BOB, Campaigning

DAY = 86_400.0


def test_what_has_ended_goes() -> None:
    """Entries, and what was sent with a return path, are forgotten in time; the hub goes on."""
    shop = Campaigning("[suppression]\nreturn paths = bulk\nreturn paths for = 2d\n")
    shop.newsletter()
    reads = shop.shop.parts.journal.reads
    today = int(shop.world.now // DAY)
    assert reads.outlived(today + 1)
    now = shop.world.now
    shop.put(Entry("shop.example", "old@far.example", Reason.HARD, now, now + DAY))
    shop.put(Entry("shop.example", "new@far.example", Reason.HARD, now, now + 30 * DAY))
    shop.world.run(4 * DAY + 2 * KEEP_EVERY)
    assert [it.address for it in shop.entries()] == ["new@far.example"]
    assert not reads.outlived(today + 1)
    assert shop.world.errors == []
    shop.close()


def test_a_reload() -> None:
    """Switched off while the hub runs, it is off at once."""
    shop = Campaigning()
    shop.put(Entry("shop.example", BOB, Reason.HARD, 0.0))
    shop.newsletter()
    assert shop.far.taken == []
    parts = shop.shop.parts
    terms = replace(parts.settings.suppression.terms, action=Action.OFF)
    suppression = replace(parts.settings.suppression, terms=terms)
    parts.obey(replace(parts.settings, suppression=suppression))
    shop.newsletter()
    assert len(shop.far.taken) == 1
    shop.close()
