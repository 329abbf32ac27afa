"""How fast the virtual internet runs: CPU time, for the machine is shared and time is virtual.

    python -m bench.sim [--million]

Each figure is of one process and one core. ``--million`` takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

from twisted.logger import globalLogBeginner

from mailhub.config.load import parse
from mailhub.sim import campaign, worldfile
from mailhub.sim.simulation import Plan, Run, simulate

NEAR: Final = """
[world]
latency = 1ms
jitter = 0
[provider Near]
domains = near.example
weight = 1
latency = 1ms
jitter = 0
"""
"""A world that is never waited for: what is left is the work."""


def plan(world: str, mail: str) -> Plan:
    """A simulation of the default configuration."""
    settings, mistakes = parse("[hub]\nhostname = mx.sender.example\n")
    assert not mistakes, mistakes
    atlas = worldfile.load(world) if world in worldfile.SHIPPED else worldfile.parsed("near", world)
    sent = campaign.parsed("bench", f"[mail x]\n{mail}")
    return Plan(settings, atlas, sent, "7")


def timed(name: str, made: Plan, unit: Callable[[Run, float], str]) -> None:
    """Run one, and print its figure."""
    began = time.process_time()
    done = simulate(made)
    spent = time.process_time() - began
    delivered = sum(account.delivered for account in done.ledger.accounts)
    assert delivered >= 0.9 * made.campaign.total, f"{delivered} delivered"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:44} {unit(done, spent):>28} {memory:6.0f} MiB")
    sys.stdout.flush()


def rate(done: Run, spent: float) -> str:
    """Messages in a second of CPU."""
    return f"{done.plan.campaign.total / spent:.0f} messages/s"


def seconds(done: Run, spent: float) -> str:
    """What so much of the world's time took."""
    return f"{spent:.1f} s for {done.ended / 3600:.1f} h"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true")
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    two_hops = "recipients = 5K\nsize = 4K\n"
    timed("warm", plan(NEAR, "recipients = 500\n"), rate)
    timed("two ESMTP hops", plan(NEAR, two_hops), rate)
    timed("two ESMTP hops, TLS", plan(NEAR + "tls = good\n", two_hops), rate)
    outage = NEAR + "outages = +8h for 2h\n"
    day = "recipients = 10K\nsize = 4K\nrate = 10000/d\nconnections = 1\n"
    timed("a quiet day, an outage of two hours", plan(outage, day), seconds)
    timed("the providers' world", plan("providers", two_hops), rate)
    if arguments.million:
        timed("a million recipients", plan(NEAR, "recipients = 1M\nsize = 2K\n"), rate)


if __name__ == "__main__":
    main()
