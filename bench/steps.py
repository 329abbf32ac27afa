"""What is measured: each step does the same work against either server and gives its figures."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

from bench import processes, reading
from bench.clients import Imap, Line, Pop, greet, message, send, source
from bench.figure import Figure
from bench.peers import SINK, Mailhub, Peer, address, used
from bench.relay import Far, Sink

MANY = 10_000
"""Connections of `idle_many`."""

Step = Callable[[Peer], list[Figure]]


def _delivered(
    peer: Peer, label: str, account: int, *, sessions: int, messages: int, size: int
) -> list[Figure]:
    """Send, and wait until the last message is in the mailbox, seen by IMAP."""
    with Imap(peer.ports["imap"], account) as imap:
        before, spent = imap.messages(), used(peer)
        started = time.perf_counter()
        source(
            peer.ports["smtp"],
            sessions=sessions,
            messages=messages,
            size=size,
            to=address(account),
        )
        while imap.messages() < before + messages:
            time.sleep(0.02)
        seconds = time.perf_counter() - started
    return [
        Figure(f"delivered, {label}", messages / seconds, "messages/s"),
        Figure(
            f"server CPU, {label}", (used(peer) - spent) / messages * 1e3, "ms/message", more=False
        ),
    ]


def many_sessions(peer: Peer) -> list[Figure]:
    """4 KB messages from 20 sessions."""
    return _delivered(peer, "20 sessions, 4 KB", 1, sessions=20, messages=3000, size=4096)


def one_session(peer: Peer) -> list[Figure]:
    """4 KB messages from one session."""
    return _delivered(peer, "1 session, 4 KB", 2, sessions=1, messages=1000, size=4096)


def large(peer: Peer) -> list[Figure]:
    """1 MB messages from 4 sessions."""
    return _delivered(peer, "4 sessions, 1 MB", 3, sessions=4, messages=200, size=1_000_000)


def _idle(peer: Peer, label: str, port: str, count: int, *, tls: bool) -> list[Figure]:
    with Imap(peer.ports[port], 4, tls=tls) as warm:
        warm.command(b"SELECT INBOX")
        before = processes.memory(peer.roots())
        held = []
        for _ in range(count):
            imap = Imap(peer.ports[port], 4, tls=tls)
            imap.command(b"SELECT INBOX")
            imap.say(b"i IDLE\r\n")
            imap.line()
            held.append(imap)
        time.sleep(1)
        grown = processes.memory(peer.roots()) - before
        for imap in held:
            imap.socket.close()
    return [
        Figure(f"memory of an idle IMAP connection, {label}", grown / count / 1024, "KiB", False)
    ]


def idle_plain(peer: Peer) -> list[Figure]:
    """Memory of logged-in, selected, idling connections."""
    return _idle(peer, "plain", "imap", 300, tls=False)


def idle_tls(peer: Peer) -> list[Figure]:
    """The same under TLS."""
    return _idle(peer, "TLS", "imaps", 300, tls=True)


def idle_many(peer: Peer) -> list[Figure]:
    """Ten thousand of them under TLS: mailhub alone, for Dovecot has a process for each."""
    if not isinstance(peer, Mailhub):
        return []
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < MANY + 500:
        raise RuntimeError(f"{MANY} connections need as many open files: ulimit -n")
    spent = used(peer)
    [memory] = _idle(peer, f"TLS, {MANY} of them", "imaps", MANY, tls=True)
    cpu = Figure("server CPU of its login", (used(peer) - spent) / MANY * 1e3, "ms", more=False)
    return [memory, cpu]


def notify(peer: Peer) -> list[Figure]:
    """From the 250 of a message to the EXISTS that an idling client hears."""
    delays = []
    with Imap(peer.ports["imap"], 5) as imap, Line(peer.ports["smtp"]) as smtp:
        imap.command(b"SELECT INBOX")
        imap.say(b"i IDLE\r\n")
        imap.line()
        greet(smtp)
        for _ in range(20):
            send(smtp, address(5), message(4096))
            taken = time.perf_counter()
            while b"EXISTS" not in imap.line():
                pass
            delays.append(time.perf_counter() - taken)
            time.sleep(0.1)
    return [
        Figure("250 to EXISTS of an idling client", statistics.median(delays) * 1e3, "ms", False)
    ]


def _filled(peer: Peer, account: int, messages: int) -> None:
    """Have at least so many messages of 4 KB in an account's INBOX."""
    with Imap(peer.ports["imap"], account) as imap:
        lacking = messages - imap.messages()
        if lacking > 0:
            source(
                peer.ports["smtp"], sessions=10, messages=lacking, size=4096, to=address(account)
            )
        while imap.messages() < messages:
            time.sleep(0.05)


def retrieve(peer: Peer) -> list[Figure]:
    """RETR of 4 KB messages, one after the other on one connection."""
    _filled(peer, 6, 3000)
    with Pop(peer.ports["pop3"], 6) as pop:
        pop.retrieve(1)
        spent, started = used(peer), time.perf_counter()
        for number in range(1, 3001):
            pop.retrieve(number)
        seconds = time.perf_counter() - started
        pop.command(b"QUIT")
    return [
        Figure("POP3 RETR of 4 KB", 3000 / seconds, "messages/s"),
        Figure("server CPU, RETR", (used(peer) - spent) / 3000 * 1e6, "µs/message", more=False),
    ]


def append(peer: Peer) -> list[Figure]:
    """IMAP APPEND of 4 KB messages, one after the other on one connection."""
    content = message(4096)
    with Imap(peer.ports["imap"], 7) as imap:
        imap.command(b"CREATE Kept")
        imap.append(b"Kept", content)
        spent, started = used(peer), time.perf_counter()
        for _ in range(1000):
            imap.append(b"Kept", content)
        seconds = time.perf_counter() - started
    return [
        Figure("IMAP APPEND of 4 KB", 1000 / seconds, "messages/s"),
        Figure("server CPU, APPEND", (used(peer) - spent) / 1000 * 1e6, "µs/message", more=False),
    ]


def relay(peer: Peer) -> list[Figure]:
    """4 KB messages from 20 sessions, relayed to Postfix's smtp-sink."""
    messages = 3000
    with Sink(peer.ports["sink"], messages) as sink:
        spent, started = used(peer), time.perf_counter()
        source(peer.ports["smtp"], sessions=20, messages=messages, size=4096, to=f"someone@{SINK}")
        sink.wait()
        seconds = time.perf_counter() - started
    cost = (used(peer) - spent) / messages * 1e3
    return [
        Figure("relayed, 20 sessions, 4 KB", messages / seconds, "messages/s"),
        Figure("server CPU, relayed", cost, "ms/message", more=False),
    ]


def relay_far(peer: Peer) -> list[Figure]:
    """The same to a sink 100 ms away, and smtp-source straight to it, which pipelines nothing.

    It waits for the reply to each command: four round trips for a message, or seven and more where
    each has a connection of its own. A server without CHUNKING cannot be given more than one
    message in a round trip, so that four times the first is the most that there is; then the same
    to one that takes chunks.
    """
    return [*_far(peer, chunks=False), *_far(peer, chunks=True)]


def _far(peer: Peer, *, chunks: bool) -> list[Figure]:
    messages = 1000
    with Far(peer.ports["sink"], messages, chunks=chunks) as far:
        started = time.perf_counter()
        source(peer.ports["smtp"], sessions=20, messages=messages, size=4096, to=f"someone@{SINK}")
        far.wait()
        rate = messages / (time.perf_counter() - started) / far.connections
    how = " in chunks" if chunks else ""
    kept, anew = (_plain(peer, kept=kept, chunks=chunks) for kept in (True, False))
    return [
        Figure(f"relayed{how}, 100 ms away, a connection", rate, "messages/s"),
        Figure(f"the same{how}, to an unpipelined client", rate / kept, "times"),
        Figure(f"the same{how}, to one that connects for each message", rate / anew, "times"),
    ]


def _plain(peer: Peer, *, kept: bool, chunks: bool) -> float:
    """Messages a second of one smtp-source to the sink that is far away."""
    messages = 40
    # One that has them all does not say 221.
    with Far(peer.ports["sink"], messages + 1, chunks=chunks) as far:
        return messages / source(
            far.port, sessions=1, messages=messages, size=4096, to=f"someone@{SINK}", kept=kept
        )


STEPS: dict[str, Step] = {
    "idle": idle_plain,
    "idle-tls": idle_tls,
    "idle-many": idle_many,
    "many": many_sessions,
    "one": one_session,
    "large": large,
    "notify": notify,
    "retr": retrieve,
    "append": append,
    "imap": reading.reading,
    "unremembered": reading.unremembered,
    "turns": reading.turns,
    "logins": reading.logins,
    "relay": relay,
    "relay-far": relay_far,
}
"""The steps in the order in which they run: memory first, in a server that has done nothing yet."""
UNUSUAL = ("idle-many",)
"""Steps that run only when they are asked for: they take minutes."""
