"""What twistd sees of the hub."""

from __future__ import annotations

import gc
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.application.service import Application
from twisted.internet.task import Clock
from twisted.logger import FileLogObserver, ILogObserver
from twisted.python.usage import UsageError

from mailhub import service
from mailhub.config.load import ConfigError
from mailhub.hub import CannotStart, Hub
from mailhub.net.logfile import TurnFile
from mailhub.net.logtext import ClassicText
from mailhub.service import Options, reload_on_hangup


def options(tmp_path: Path, text: str, *flags: str) -> Options:
    """The options, as twistd parses them."""
    path = tmp_path / "mailhub.ini"
    path.write_text(text, encoding="utf-8")
    made = Options()
    made.parseOptions(["--config", str(path), *flags])
    return made


class TestOptions:
    """``twistd mailhub``'s command line."""

    def test_a_good_file(self, tmp_path: Path) -> None:
        """Its settings are ready before anything is bound."""
        made = options(tmp_path, "[hub]\nhostname = hub.example\n")
        assert made.settings.hub.hostname == "hub.example"

    def test_all_mistakes_at_once(self, tmp_path: Path) -> None:
        """A bad file is a usage error that names every mistake with its line."""
        with pytest.raises(UsageError) as caught:
            options(tmp_path, "[hub]\nhostnam = x\nstate = /x\n[smpt]\n")
        lines = str(caught.value).splitlines()
        assert len(lines) >= 2
        assert any("line 2" in line for line in lines)

    def test_a_missing_file(self) -> None:
        """That it is not there is said in one line."""
        with pytest.raises(UsageError) as caught:
            Options().parseOptions(["--config", "/nowhere/mailhub.ini"])
        assert str(caught.value) == "/nowhere/mailhub.ini: No such file or directory"

    def test_check(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """``--check`` only checks, and exits with 0."""
        with pytest.raises(SystemExit) as caught:
            options(tmp_path, "[hub]\nhostname = hub.example\n", "--check")
        assert caught.value.code == 0
        assert "no mistakes" in capsys.readouterr().out


class TestHub:
    """The hub, as twistd and a ``.tac`` file get it."""

    def test_of_options(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its settings are those that were checked, its reload reads the file anew."""
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        text = f"[hub]\nhostname = hub.example\nstate = {tmp_path}\n[listen]\nsmtp = 127.0.0.1:25\n"
        given = options(tmp_path, text)
        hub = service.makeService(given)
        assert isinstance(hub, Hub)
        assert hub.settings is given.settings
        assert sys.excepthook is service._one_line
        assert "smtp 127.0.0.1:25" in hub.namedServices
        (tmp_path / "mailhub.ini").write_text(text.replace("hub.example", "other.example"))
        assert hub._load is not None
        assert hub._load().hub.hostname == "other.example"

    def test_its_log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """twistd's log file is written with our form, unless it was told of a logger or syslog."""
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        given = options(tmp_path, f"[hub]\nhostname = hub.example\nstate = {tmp_path}\n")
        told = {"logfile": str(tmp_path / "log"), "logger": None, "syslog": False}
        for more, formed in (({}, True), ({"logger": print}, False)):
            given.parent = cast("Any", {**told, **more})
            application = Application("mailhub")
            service.makeService(given).setServiceParent(application)
            observer = application.getComponent(ILogObserver)
            assert (observer is not None) is formed
        observer = service.Logged.observer({**told}, Clock())
        assert isinstance(observer, FileLogObserver)
        assert isinstance(observer.formatEvent, ClassicText)
        assert isinstance(observer._outFile, TurnFile)

    def test_of_a_file(self, tmp_path: Path) -> None:
        """A file with mistakes raises them all."""
        path = tmp_path / "mailhub.ini"
        path.write_text("[hub]\nhostname = hub.example\n")
        assert service.hub_from_file(str(path)).settings.hub.hostname == "hub.example"
        path.write_text("[hub]\nhostname = hub\n")
        with pytest.raises(ConfigError):
            service.hub_from_file(str(path))


class TestFailures:
    """What an operator reads when the hub cannot start."""

    def test_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A mistake of an operator's is one line."""
        error = CannotStart("/var/lib/mailhub: Permission denied")
        service._one_line(CannotStart, error, None)
        assert capsys.readouterr().err == "mailhub: /var/lib/mailhub: Permission denied\n"

    def test_a_bug_in_full(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A bug of ours keeps its trace."""
        service._one_line(ValueError, ValueError("x"), None)
        assert "ValueError: x" in capsys.readouterr().err


def test_hangup_reloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP is handed to the loop, which reloads."""
    installed: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", installed.__setitem__)
    done = []

    class Hub:
        def reload(self) -> None:
            done.append("reloaded")

    class Reactor:
        def callFromThread(self, function: Any) -> None:
            done.append("handed over")
            function()

    reload_on_hangup(Hub(), Reactor())  # type: ignore[arg-type]
    installed[signal.SIGHUP](signal.SIGHUP, None)
    assert done == ["handed over", "reloaded"]


@pytest.mark.parametrize("v6only", [0, 1])
def test_both_families(monkeypatch: pytest.MonkeyPatch, v6only: int) -> None:
    """One socket for IPv6 and IPv4 is had where IPv6 works, and does not keep to itself."""

    class Probe(socket.socket):
        def bind(self, address: object) -> None:
            assert address == ("::1", 0)

        def getsockopt(self, *_: object) -> int:  # type: ignore[override]
            return v6only

    monkeypatch.setattr(socket, "socket", lambda *_: Probe())
    assert service.both_families() is (v6only == 0)


def test_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that knows IPv6 and has no address of it has none."""

    class Probe(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket, "socket", lambda *_: Probe())
    assert not service.both_families()


def test_a_steady_clock() -> None:
    """Timers run by a clock that nobody can set, those that were there before as well, and once."""
    clock, fired = Clock(), list[int]()
    clock.advance(1_000_000_000.0)
    call = clock.callLater(50.0, fired.append, 1)
    for _ in range(2):
        service.make_steady(clock)
        assert clock.seconds is time.monotonic
        assert call.getTime() - time.monotonic() == pytest.approx(50.0, abs=5)
    assert service.real_world().reactor.seconds is time.monotonic


def test_the_real_world_differs_from_start_to_start() -> None:
    """Entropy and nonces are not repeated."""
    world = service.real_world()
    assert world.entropy(16) != world.entropy(16)
    assert world.nonce() != world.nonce()
    assert 0 <= world.number(18) < 1 << 18
    assert world.boot_id


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (1024, 4096, 4096),
        (1024, 1 << 20, service.DESCRIPTORS),
        (1024, resource.RLIM_INFINITY, service.DESCRIPTORS),
        (1 << 20, 1 << 20, 1 << 20),  # more than enough is left alone
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_open_more(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, then: int) -> None:
    """A shell's soft limit is for programs that use select()."""
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    service.open_more()
    assert limits[-1] == (then, hard)


def test_open_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is forbidden, the hub starts with what it has."""

    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 20))
    monkeypatch.setattr(resource, "setrlimit", refused)
    service.open_more()


def test_settled() -> None:
    """What was there at the start is no longer looked at by the collector, and the rest seldom."""
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    try:
        service.settle()
        assert gc.get_threshold() == (service.YOUNG, *thresholds[1:])
        assert gc.get_freeze_count() > before
        assert len(gc.get_objects()) < gc.get_freeze_count()
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
