"""Changes: only that they can be told apart and say what they are about."""

from __future__ import annotations

from mailhub.queue.change import Select, Stale
from tests.queue.given import queue_id


def test_stale_names_the_item() -> None:
    """Who meets a stale change learns which item to load again."""
    stale = Stale(queue_id(1))
    assert stale.queue_id == queue_id(1)
    assert queue_id(1) in str(stale)


def test_an_empty_selection_is_all() -> None:
    """Nothing asked for is nothing excluded."""
    assert Select() == Select(queue_ids=(), sender=None, recipient=None, domain=None)
