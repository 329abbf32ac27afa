"""A lab's directory before it runs."""

from __future__ import annotations

import stat
from pathlib import Path

from mailhub.cli.lab import PORTS
from mailhub.lab.prepared import READING, SENDING, prepare


def test_configurations(tmp_path: Path) -> None:
    """Both hubs listen where they were told to, on loopback alone; preparing twice is no harm."""
    prepare(str(tmp_path), PORTS)
    sending, reading = prepare(str(tmp_path), PORTS).settings()
    for settings, services in ((sending, SENDING), (reading, READING)):
        listening = {name: found for name, found in settings.listen.all().items() if found}
        assert {name: found[0].port for name, found in listening.items()} == {
            name: PORTS[name] for name in services
        }
        assert not any(it.public for found in listening.values() for it in found)
    assert sending.hub.state != reading.hub.state


def test_state_is_private(tmp_path: Path) -> None:
    """Other users of the machine cannot read it."""
    made = prepare(str(tmp_path / "state"), PORTS)
    assert stat.S_IMODE(Path(made.state).stat().st_mode) == 0o700
