"""Messages taken into the full-text index, step by step."""

from __future__ import annotations

from pathlib import Path

from mailhub.mail.digest import digest
from mailhub.store import learning
from mailhub.store.limits import Limits
from tests.store.world import TEXT, Hub


def test_steps(tmp_path: Path) -> None:
    """A step ends after so many messages, or octets; what was done is not done again."""
    hub = Hub(tmp_path, limits=Limits(index_batch=3, index_octets=len(TEXT) * 2))
    hub.append(*[TEXT] * 5)
    box = hub.box()
    assert learning.learn(box, [1, 2, 3, 4, 5]) == 2
    assert learning.learn(box, [1, 2, 3, 4, 5]) == 4
    assert learning.learn(box, [1, 2, 3, 4, 5]) == 5
    assert learning.learn(box, [1, 2, 3, 4, 5]) == 5
    with box.transaction(write=False) as transaction:
        [[count]] = transaction._database.execute("SELECT count(*) FROM digest").fetchall()
    assert count == 5


def test_gone(tmp_path: Path) -> None:
    """A message whose file is gone is not waited for."""
    hub = Hub(tmp_path)
    hub.append(TEXT, TEXT)
    box = hub.box()
    (hub.maildir / "cur" / hub.cur()[0]).unlink()
    assert learning.learn(box, [1, 2]) == 2
    assert learning.digests(box, [1, 2]) == {2: digest(TEXT)}
