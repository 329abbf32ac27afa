"""The control socket."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactor, StringTransport

from mailhub.net.control import Control, ControlFactory, ControlService


def ask(request: bytes, actions: dict[str, Any]) -> dict[str, Any]:
    """What a client hears who sends one line."""
    control = ControlFactory(actions).buildProtocol(None)
    assert isinstance(control, Control)
    transport = StringTransport()
    control.makeConnection(transport)
    control.dataReceived(request + b"\n")
    answer: dict[str, Any] = json.loads(transport.value())
    return answer


class TestControl:
    """Requests and their answers."""

    def test_a_request_reaches_its_action(self) -> None:
        """The action gets the whole object, and what it returns is in the answer."""
        heard: list[Mapping[str, Any]] = []

        def wake(request: Mapping[str, Any]) -> Mapping[str, Any]:
            heard.append(request)
            return {"woken": 3}

        answer = ask(b'{"do": "wake", "domain": "far.example"}', {"wake": wake})
        assert answer == {"ok": True, "woken": 3}
        assert heard == [{"do": "wake", "domain": "far.example"}]

    def test_nonsense_is_refused(self) -> None:
        """Anything but an object with a known verb gets a clear no."""
        for request in (
            b"",
            b"{",
            b"[]",
            b'{"do": "dance"}',
            b'{"do": []}',
            b'"wake"',
            b"\xff",
            b"[" * 60_000,
        ):
            assert ask(request, {}) == {"ok": False, "error": "no such request"}

    def test_a_failing_action_is_answered(self) -> None:
        """A bug behind the socket is logged; the client only hears that it failed."""

        def fail(request: Mapping[str, Any]) -> Mapping[str, Any]:
            raise RuntimeError("secret detail")

        answer = ask(b'{"do": "fail"}', {"fail": fail})
        assert answer == {"ok": False, "error": "failed; see the log"}


class TestControlService:
    """The socket file."""

    def test_a_stale_socket_is_replaced(self, tmp_path: Path) -> None:
        """A hub that was killed leaves a file; the next one takes its place."""
        (tmp_path / "control").write_bytes(b"")
        reactor = MemoryReactor()
        service = ControlService(str(tmp_path), {}, reactor)
        service.privilegedStartService()
        assert reactor.unixServers == [], "not bound as root"
        service.startService()
        [(path, _, _, mode, _)] = reactor.unixServers
        assert (path, mode) == (str(tmp_path / "control"), 0o600)

    def test_a_long_path(self, tmp_path: Path) -> None:
        """A state directory may be as deep as it likes: the socket is bound through it."""
        deep = tmp_path / ("d" * 120)
        deep.mkdir()
        reactor = MemoryReactor()
        before = len(os.listdir("/proc/self/fd"))
        service = ControlService(str(deep), {}, reactor)
        service.startService()
        [(address, *_)] = reactor.unixServers
        assert len(address) < 100
        assert os.path.samefile(os.path.dirname(address), deep)
        stopped: Deferred[None] = service.stopService()
        assert stopped.called
        assert len(os.listdir("/proc/self/fd")) == before

    def test_never_started(self, tmp_path: Path) -> None:
        """A service that never began ends all the same."""
        assert ControlService(str(tmp_path), {}, MemoryReactor()).stopService().called
