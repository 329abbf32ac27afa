"""A lab's directory before it runs."""

from __future__ import annotations

import stat
from pathlib import Path

from mailhub.cli.lab import PORTS
from mailhub.lab.prepared import READING, SENDING, again, prepare


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
    made = prepare(str(tmp_path / "its state"), PORTS)
    assert stat.S_IMODE(Path(made.state).stat().st_mode) == 0o700


def test_again(tmp_path: Path) -> None:
    """All that happened is gone; the certificate that clients trust, and the log, are not."""
    made = prepare(str(tmp_path), PORTS)
    made.remember(3600.0)
    trusted = Path(made.ca).read_bytes()
    (tmp_path / "spool").mkdir()
    for name in ("spool/spool.db", "inboxes/letter", "log", "lock"):
        (tmp_path / name).write_text("x")
    anew = again(made)
    assert Path(anew.ca).read_bytes() == trusted
    assert {it.name for it in tmp_path.iterdir()} >= {"tls", "log", "lock", "inboxes"}
    assert not (tmp_path / "spool").exists()
    assert not (tmp_path / "inboxes" / "letter").exists()
    assert anew.ahead == 0.0


def test_the_clock(tmp_path: Path) -> None:
    """How far it is ahead is kept; what is no number is none."""
    made = prepare(str(tmp_path), PORTS)
    assert made.ahead == 0.0
    made.remember(18_000.25)
    assert prepare(str(tmp_path), PORTS).ahead == 18_000.25
    for text in ("", "soon", "-5"):
        (tmp_path / "clock").write_text(text)
        assert made.ahead == 0.0
