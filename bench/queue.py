"""A queue of a million recipients: memory, start, and the time that each operation takes.

    python -m bench.queue [--most 1000000] [--plot bench/queue.svg]

For each length a spool is filled: nine tenths of it one recipient each for a
provider that does not answer, the rest in messages of 1,000 recipients for a
thousand others. Then, by CPU time, in this process: a message is accepted, found
by the runner's finder, and settled; a recipient is put off; an operator holds and
releases one domain, and looks for one sender, one account, one recipient, and the mail for a
hundred domains of one provider. At last a whole hub is started on the spool (a smarthost takes
connections and says nothing), and its memory is compared with that of an empty one.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from bench.processes import memory
from mailhub.mail.address import Path as Address
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Reply
from mailhub.policy.limits import RunnerLimits
from mailhub.policy.retry import Schedule
from mailhub.queue.amend import START, At
from mailhub.queue.change import Accept, Amend, Due, Hold, Release, Select, Settle
from mailhub.queue.choosing import INDEXED
from mailhub.queue.flow import Flow
from mailhub.queue.ids import QueueIds
from mailhub.queue.item import Answer, Item, attempted, new_item
from mailhub.queue.spool import Spool
from mailhub.relay.finder import Finder
from mailhub.relay.lane import Lanes

OK = Reply(250, "0.0", ("Ok",))
LATER = Reply(451, "4.1", ("Later",))
CAMPAIGN = Flow("shop@bench.example", "bulk")
RESET = Flow("shop@bench.example", "normal")
SENDER = Address("shop", "bench.example")
CONTENT = b"Subject: x\r\n\r\nx\r\n"
OPERATIONS = 500
LIMITS = RunnerLimits()


@dataclass(frozen=True)
class Measured:
    """What one length costs: microseconds an operation, seconds, octets."""

    recipients: int
    relay: float
    defer: float
    amend: float
    choose: float
    start: float
    memory: float


class Filler:
    """Makes items."""

    def __init__(self) -> None:
        number = count(1)
        self.ids = QueueIds(time.time, lambda _: next(number) % 262144)

    def item(self, paths: list[Address], flow: Flow) -> Item:
        envelope = Envelope(SENDER, tuple(map(Recipient, paths)))
        places = [None] * len(paths)
        return new_item(self.ids(), time.time(), envelope, places, len(CONTENT), flow=flow)

    def items(self, recipients: int) -> Iterator[Item]:
        """So many recipients, as the module says."""
        dead = recipients * 9 // 10
        for number in range(dead):
            yield self.item([Address(f"u{number}", "dead.example")], CAMPAIGN)
        rest = [Address("x", f"d{n % 1000}.example") for n in range(recipients - dead)]
        for first in range(0, len(rest), 1000):
            yield self.item(rest[first : first + 1000], CAMPAIGN)


def fill(directory: str, recipients: int) -> None:
    """Fill a spool, and sync it once."""
    spool = Spool(directory)
    spool._database.execute("PRAGMA synchronous=OFF")  # noqa: SLF001  # only while it is filled
    batch: list[Accept] = []
    for item in Filler().items(recipients):
        batch.append(Accept(item, CONTENT))
        if len(batch) >= 500:
            spool.apply(batch)
            batch = []
    spool.apply(batch)
    spool._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # noqa: SLF001
    spool.close()


def each(operation: Callable[[], object], times: int) -> float:
    """Microseconds of CPU that an operation takes."""
    operation()
    begun = time.process_time()
    for _ in range(times):
        operation()
    return (time.process_time() - begun) / times * 1e6


def operations(directory: str) -> tuple[float, float, float, float]:
    """What relaying, putting off, an operator's change and looking cost, in microseconds."""
    spool, filler = Spool(directory), Filler()
    lanes = Lanes(LIMITS)
    finder = Finder(spool, lanes, lambda due: due.path.domain, LIMITS.page)
    finder.begin()
    for _ in finder.look(time.time()):
        while lanes.next() is not None:
            pass  # all places that one flow may have are taken by the campaign

    def relay() -> None:
        item = filler.item([Address("me", "live.example")], RESET)
        spool.apply([Accept(item, CONTENT)])
        path = item.envelope.recipients[0].path
        finder.fresh(Due(item.arrived, item.queue_id, 0, path, SENDER, False, RESET))
        job = lanes.next()
        assert job is not None
        assert job.queue_id == item.queue_id, "a campaign holds up a single message"
        part = spool.load(job.queue_id, job.numbers)
        assert part is not None
        after = attempted(part, {0: Answer(OK)}, time.time(), Schedule())
        spool.apply([Settle(part, after)])
        lanes.done(job)
        finder.done(job)
        finder.refill(job.flow, job.hop, time.time())

    now = time.time()
    waiting = iter(spool.due(CAMPAIGN, "dead.example", now, OPERATIONS + 10))

    def defer() -> None:
        due = next(waiting)
        part = spool.load(due.queue_id, (due.number,))
        assert part is not None
        spool.apply([Settle(part, attempted(part, {0: Answer(LATER)}, now, Schedule()))])

    def amend() -> None:
        for change in (Hold(Select(domain="d7.example"), "x"), Release(only, time.time())):
            _amend(spool, change)

    only = Select(domain="d7.example", queue_ids=())
    _amend(spool, Hold(only, "x"))
    held = _amend(spool, Release(only, now))
    found = each(relay, OPERATIONS), each(defer, OPERATIONS), each(amend, 5) / 2 / max(held, 1)
    chosen = [each(partial(spool.find, it, None, 200, INDEXED), 3) for it in CHOSEN]
    spool.close()
    return *found, max(chosen)


CHOSEN = (
    Select(sender=Address("nobody", "bench.example")),
    Select(account=Address("nobody", "bench.example")),
    Select(recipient=Address("u7", "dead.example")),
    Select(domains=tuple(f"d{n}.example" for n in range(100))),
)
"""What an operator looks for."""


def _amend(spool: Spool, change: Amend) -> int:
    total = 0
    at: At | None = START
    while at is not None:
        number, at = spool.amend(change, at)
        total += number
    return total


# ---- A whole hub ---------------------------------------------------------------------------


@contextlib.contextmanager
def silence() -> Iterator[int]:
    """A port that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield listener.getsockname()[1]


def hub(state: Path, port: int) -> tuple[float, float]:
    """Seconds until a hub is ready, and its memory, in octets, ten seconds later."""
    config, log = state.parent / f"{state.name}.ini", state.parent / f"{state.name}.log"
    config.write_text(
        f"[hub]\nhostname = mx.bench.example\nstate = {state}\n"
        "[listen]\nsmtp = tcp:0:interface=127.0.0.1\n"
        "submission =\nsubmissions =\nimap =\nimaps =\npop3 =\npop3s =\n[tls]\noffered = no\n"
        f"[route all]\nhost = 127.0.0.1:{port}\ntls = none\n",
        encoding="utf-8",
    )
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon"]
    command = [*twistd, "--pidfile=", f"--logfile={log}", "mailhub", "--config", str(config)]
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=state.parent)
    try:
        while not (log.exists() and "is ready" in log.read_text(encoding="utf-8")):
            if process.poll() is not None:
                raise RuntimeError(log.read_text(encoding="utf-8") if log.exists() else "no hub")
            time.sleep(0.02)
        seconds = time.monotonic() - begun
        time.sleep(10)
        return seconds, memory([process.pid])
    finally:
        process.kill()  # it would wait for the attempts under way, of which nothing will come
        process.wait()


def measure(recipients: int, home: Path, idle: float) -> Measured:
    """One length."""
    state = home / f"state{recipients}"
    (state / "spool").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    fill(str(state / "spool"), recipients)
    with silence() as port:
        seconds, octets = hub(state, port)
    relay, defer, amend, choose = operations(str(state / "spool"))
    shutil.rmtree(state)
    return Measured(recipients, relay, defer, amend, choose, seconds, octets - idle)


# ---- Telling it ----------------------------------------------------------------------------


def table(found: list[Measured]) -> Iterator[str]:
    """As Markdown."""
    yield "| recipients | relay one | put one off | hold one | look | start | memory over idle |"
    yield "|---|---|---|---|---|---|---|"
    for it in found:
        yield (
            f"| {it.recipients:,} | {it.relay:.0f} µs | {it.defer:.0f} µs | {it.amend:.0f} µs"
            f" | {it.choose / 1000:.0f} ms | {it.start:.1f} s | {it.memory / (1 << 20):.0f} MiB |"
        )


def plot(found: list[Measured]) -> str:
    """The times of operations against the length, which is logarithmic, as SVG."""
    top = max(max(it.relay, it.defer, it.amend) for it in found) * 1.2
    width, height, left, under = 640, 320, 60, 40

    def point(at: int, value: float) -> str:
        x = left + at * (width - left - 20) / max(len(found) - 1, 1)
        return f"{x:.0f},{height - under - value / top * (height - under - 20):.0f}"

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">']
    lines += ['<g font-family="sans-serif" font-size="12">']
    for name, colour in (("relay", "#06c"), ("defer", "#c60"), ("amend", "#090")):
        values = [getattr(it, name) for it in found]
        points = " ".join(point(place, value) for place, value in enumerate(values))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        x, y = points.split()[-1].split(",")
        where = f'x="{int(x) - 4}" y="{int(y) - 6}" text-anchor="end"'
        lines.append(f'<text {where} fill="{colour}">{name}</text>')
    for at, it in enumerate(found):
        x = point(at, 0).split(",")[0]
        lines.append(
            f'<text x="{x}" y="{height - 20}" text-anchor="middle">{it.recipients:,}</text>'
        )
    for value in (0.0, top / 2, top):
        y = point(0, value).split(",")[1]
        lines.append(f'<text x="{left - 8}" y="{y}" text-anchor="end">{value:.0f} µs</text>')
    lines.append(f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">recipients</text>')
    return "\n".join([*lines, "</g></svg>", ""])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="bench-queue-"))
    try:
        empty = home / "empty"
        empty.mkdir(mode=0o700)
        with silence() as port:
            _, idle = hub(empty, port)
        found = []
        length = 1000
        while length <= options.most:
            found.append(measure(length, home, idle))
            print(*table(found[-1:]), sep="\n", flush=True)
            length *= 10
        print(*table(found), sep="\n")
        if options.plot:
            options.plot.write_text(plot(found), encoding="utf-8")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
