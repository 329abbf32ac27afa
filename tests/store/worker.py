"""A process that changes a mailbox at random and says so, until it is killed.

It says what it begins in lower case and what has been done in upper case:
``a 17`` (append of text 17 begins), ``A 17 5`` (done, UID 5), ``d/D 18 6`` (delivery),
``e/E 5`` (removal of UID 5), ``m/M 5`` (move of UID 5), ``f/F 5 n`` (its flags are keyword n).
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from mailhub.ports.message import FlagAction
from mailhub.store.mailbox import SharedMailbox
from tests.rig import run
from tests.store.world import Hub


def text(number: int) -> bytes:
    """The message of a number."""
    return b"Subject: %d\r\n\r\n" % number + b"x" * (number % 3000) + b"\r\n"


def say(*words: object) -> None:
    """A line that arrives whole."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def step(
    hub: Hub, mailbox: SharedMailbox, chance: random.Random, number: int, began: float
) -> None:
    """One change."""
    what = chance.choice("aaddefm")
    if what == "a":
        say("a", number)
        say("A", number, *hub.append(text(number)).uids)
    elif what == "d":
        say("d", number)
        filings = hub.deliver(f"q{number}", content=text(number), arrived=began)
        run(hub.filer.sync(filings))
        say("D", number, mailbox.uids[-1])
    elif mailbox.uids:
        uid = chance.choice(mailbox.uids)
        say(what, uid, number % 9)
        if what == "e":
            run(mailbox.expunge([uid]))
        elif what == "m":
            run(mailbox.move([uid], "Sent"))
        else:
            run(mailbox.store([uid], FlagAction.REPLACE, [f"k{number % 9}"]))
        say(what.upper(), uid, number % 9)


def main(root: str, seed: str, began: str) -> None:
    """Go on for ever."""
    hub, chance = Hub(Path(root)), random.Random(seed)
    mailbox = hub.open()
    number = int(seed) * 100_000
    while True:
        number += 1
        step(hub, mailbox, chance, number, float(began))


if __name__ == "__main__":
    main(*sys.argv[1:])
