"""Simulations that tests of their results share: run once."""

from __future__ import annotations

from functools import cache

from mailhub.config.load import parse
from mailhub.sim.campaign import parsed
from mailhub.sim.result import Result, concluded
from mailhub.sim.simulation import Plan, simulate
from mailhub.sim.worldfile import parsed as parsed_world

WORLD = """
[world]
about = Some of <each>.
[provider Quick]
domains = quick.example
weight = 2
[provider Greylisting]
domains = grey.example
weight = 1
greylist = 10m
[provider Slow]
domains = slow.example
weight = 2
rate = 30/h
unknown users = 20%
source = made up & told
[provider Absent]
domains = absent.example
weight = 1
outages = +0s for 20m
outage = refused
"""


@cache
def result(config: str = "", until: float = 0.0, seed: str = "7") -> Result:
    settings, mistakes = parse(f"[hub]\nhostname = mx.sender.example\nstate = /no\n{config}")
    assert mistakes == []
    campaign = parsed("test.ini", "[mail x]\nrecipients = 120\nsize = 1K\n")
    plan = Plan(settings, parsed_world("test", WORLD), campaign, seed, until)
    return concluded(simulate(plan))
