"""Connections between two hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from mailhub.config.certificate import self_signed
from mailhub.net.clienttls import ClientTls
from mailhub.net.tls import CertificateMap
from mailhub.sim.wire import PATIENCE, WINDOW, Link
from tests.sim.machines import Pair, Talker


def test_latency() -> None:
    """What is written arrives after both hosts' latency; what is written at once, at once."""
    pair = Pair()
    near, far = pair.joined()
    near.transport.write(b"one ")
    near.transport.write(b"two")
    pair.world.run(1)
    assert far.heard == [(0.13, b"one two")]
    far.transport.write(b"three")
    assert near.heard == []
    pair.world.run(1)
    assert near.heard == [(1.13, b"three")]


def test_bandwidth() -> None:
    """A slow link takes its time for each octet, for all its connections together."""
    pair = Pair(link=Link(0.01, bandwidth=1000))
    (one, first), (two, second) = pair.joined(), pair.joined()
    one.transport.write(b"x" * 1000)
    two.transport.write(b"x" * 1000)
    pair.world.run(10)
    assert [talker.heard[0][0] for talker in (first, second)] == [1.23, 2.23]


def test_order_under_jitter() -> None:
    """However the latency wavers, octets arrive in order."""
    pair = Pair(link=Link(0.01, jitter=0.5, segment=3))
    near, far = pair.joined()
    text = bytes(range(256))
    for start in range(0, 256, 8):
        near.transport.write(text[start : start + 8])
        pair.world.run(0.05)
    pair.world.run(5)
    assert far.octets == text
    assert len(far.heard) > 60


def test_close() -> None:
    """A close comes behind what was written, and both protocols hear of it."""
    pair = Pair()
    near, far = pair.joined()
    near.transport.write(b"last words")
    near.transport.loseConnection()
    pair.world.run(1)
    assert far.octets == b"last words"
    for talker in (near, far):
        assert talker.lost is not None
        assert talker.lost.check(ConnectionDone)
    assert not pair.world.network.connections


def test_abort() -> None:
    """An abort is a reset for the other."""
    pair = Pair()
    near, far = pair.joined()
    far.transport.abortConnection()
    pair.world.run(1)
    assert far.lost is not None
    assert far.lost.check(ConnectionAborted)
    assert near.lost is not None
    assert near.lost.check(ConnectionLost)


def test_writing_to_nobody() -> None:
    """Whoever writes to a connection that the other has closed is told by a reset."""
    pair = Pair()
    near, far = pair.joined()
    pair.world.network.cut(pair.far, pair.near, both=False)
    far.transport.loseConnection()
    pair.world.run(1)
    pair.world.network.mend(pair.far, pair.near)
    near.transport.write(b"hello?")
    pair.world.run(1)
    assert near.lost is not None


def test_resets() -> None:
    """A link that resets ends connections at both ends."""
    pair = Pair(link=Link(0.01, resets=1.0))
    near, far = pair.joined()
    near.transport.write(b"x")
    pair.world.run(1)
    assert far.octets == b""
    assert near.lost is not None
    assert far.lost is not None


def test_a_cut_holds_things_up() -> None:
    """Behind a cut nothing passes; when it is mended everything does, in order."""
    pair = Pair()
    near, far = pair.joined()
    pair.world.network.cut(pair.near, pair.far, both=False)
    near.transport.write(b"one ")
    pair.world.run(60)
    near.transport.write(b"two")
    far.transport.write(b"still there")
    pair.world.run(60)
    assert (far.octets, near.octets) == (b"", b"still there")
    pair.world.network.mend(pair.near, pair.far)
    pair.world.run(1)
    assert far.octets == b"one two"


def test_a_cut_that_lasts() -> None:
    """TCP gives up after its patience, at the end that wrote; the other never learns of it."""
    pair = Pair()
    near, far = pair.joined()
    pair.world.network.cut(pair.near, pair.far)
    near.transport.write(b"hello?")
    pair.world.run(PATIENCE - 1)
    assert near.lost is None
    pair.world.run(2)
    assert near.lost is not None
    assert far.lost is None


class Source:
    """A push producer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def test_back_pressure() -> None:
    """A writer whose reader does not read is paused, and goes on when it does."""
    pair = Pair()
    near, far = pair.joined()
    source = Source()
    near.transport.registerProducer(source, True)
    far.transport.pauseProducing()
    near.transport.write(b"x" * (WINDOW + 1))
    pair.world.run(60)
    assert source.told == ["pause"]
    assert far.octets == b""
    far.transport.resumeProducing()
    pair.world.run(1)
    assert source.told == ["pause", "resume"]
    near.transport.loseConnection()
    pair.world.run(1)
    assert near.lost is None, "a producer is still at work"
    near.transport.unregisterProducer()
    pair.world.run(1)
    assert near.lost is not None


def test_a_close_waits_for_room() -> None:
    """More than the window holds leaves only as the other reads."""
    pair = Pair()
    near, far = pair.joined()
    far.transport.pauseProducing()
    near.transport.write(b"x" * (WINDOW + 1))
    near.transport.loseConnection()
    pair.world.run(60)
    assert near.lost is None
    far.transport.resumeProducing()
    pair.world.run(1)
    assert near.lost is not None
    assert len(far.octets) == WINDOW + 1
    assert far.lost is not None


def test_a_pull_producer(tmp_path: Path) -> None:
    """Twisted's own file sender works."""
    (tmp_path / "file").write_bytes(b"x" * 500_000)
    pair = Pair()
    near, far = pair.joined()
    with (tmp_path / "file").open("rb") as file:
        FileSender().beginFileTransfer(file, near.transport).addErrback(lambda _: None)
        pair.world.run(10)
    assert len(far.octets) == 500_000


class Securing(Talker):
    """Answers STARTTLS."""

    context: Any

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data == b"STARTTLS":
            self.transport.write(b"go")
            self.transport.startTLS(self.context)


@pytest.mark.parametrize("jitter", [0.0, 0.01])
def test_tls(tmp_path: Path, jitter: float) -> None:
    """TLS is OpenSSL's; its moments do not depend on what it says."""
    files, _ = self_signed(str(tmp_path), ["far.example"], 1_700_000_000)
    moments = []
    for _ in range(2):
        pair = Pair(link=Link(0.01, jitter=jitter, bandwidth=10_000))
        pair.server.make = lambda world=pair.world: Securing(world)
        Securing.context = CertificateMap((files,))
        near, far = pair.joined(b"STARTTLS")
        pair.world.run(0.1)
        assert near.octets == b"go"
        near.transport.startTLS(ClientTls().handshake("far.example"))
        near.transport.write(b"secret " * 1000)
        pair.world.run(1)
        assert ISSLTransport.providedBy(near.transport)
        assert far.octets.endswith(b"secret secret ")
        near.transport.loseConnection()
        pair.world.run(1)
        assert near.lost is not None
        assert far.lost is not None
        moments.append((far.heard[-1][0], pair.world.digest))
    assert moments[0] == moments[1]


def test_lost_protocols_hear_no_more() -> None:
    """After the end of a connection nothing is delivered."""
    pair = Pair()
    near, far = pair.joined()
    far.transport.write(b"late")
    near.transport.lose(Failure(ConnectionLost("here")))
    near.transport.write(b"ignored")
    pair.world.run(1)
    assert near.octets == b""
    assert far.octets == b""
    assert far.lost is not None
