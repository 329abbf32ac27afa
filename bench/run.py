"""Runs the steps against mailhub and against Postfix + Dovecot in turn, and prints the ratios.

    python -m bench.run [--rounds N] [--only many,retr] [--alone]

Where Postfix and Dovecot cannot be started, mailhub is measured alone.
Each round starts both servers afresh, one after the other, on private ports of
127.0.0.1; figures are the medians of the rounds, ratios are formed within a
round and their median is shown: machines drift, and a ratio drifts less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

from bench.figure import Figure
from bench.peers import Classic, Mailhub, Peer, clean
from bench.steps import STEPS, UNUSUAL


def measure(peer: Peer, steps: list[str]) -> dict[str, Figure]:
    """All figures of one server, started for the purpose."""
    figures: dict[str, Figure] = {}
    try:
        peer.start()
        for step in steps:
            for figure in STEPS[step](peer):
                figures[figure.name] = figure
                print(f"  {peer.name:18} {figure.name:46} {figure.value:10.2f} {figure.unit}")
                sys.stdout.flush()
    finally:
        peer.stop()
    return figures


def report(rounds: list[tuple[dict[str, Figure], dict[str, Figure]]]) -> None:
    """The table: medians of both, and of the ratio as "times better"."""
    print(f"\n| {'figure':46} | mailhub | Postfix + Dovecot | mailhub is |")
    print("|---|---|---|---|")
    for name, sample in rounds[0][0].items():
        ours = [mine[name].value for mine, _ in rounds]
        theirs = [other[name].value for _, other in rounds if name in other]
        row = f"| {name:46} | {statistics.median(ours):.4g} {sample.unit} "
        if theirs:
            pairs = zip(ours, theirs, strict=True)
            ratios = [a / b if sample.more else b / a for a, b in pairs if a and b]
            better = f"{statistics.median(ratios):.1f}×" if ratios else "-"
            row += f"| {statistics.median(theirs):.4g} {sample.unit} | {better} better |"
        else:
            row += "| | |"
        print(row)


def _hindrance() -> str:
    """What must be done before Postfix and Dovecot can be started."""
    if missing := Classic.missing():
        return f"install {' '.join(missing)}"
    return "" if os.geteuid() == 0 else "run this as root, as whom Postfix starts"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    usual = ",".join(step for step in STEPS if step not in UNUSUAL)
    parser.add_argument("--only", default=usual, help="steps, separated by commas")
    parser.add_argument("--alone", action="store_true", help="mailhub only")
    options = parser.parse_args()
    steps = options.only.split(",")
    if unknown := [step for step in steps if step not in STEPS]:
        parser.error(f"no such step: {' '.join(unknown)}; there are {' '.join(STEPS)}")
    hindrance = "" if options.alone else _hindrance()
    alone = options.alone or bool(hindrance)
    if hindrance:
        print(f"mailhub alone: to compare, {hindrance}")
    rounds = []
    try:
        for number in range(options.rounds):
            print(f"round {number + 1}")
            other = {} if alone else measure(Classic(), steps)
            rounds.append((measure(Mailhub(), steps), other))
    finally:
        clean()
    report(rounds)


if __name__ == "__main__":
    main()
