"""SIGKILL at any moment: what was said to be done is done, once."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rig import run
from tests.store.test_truth import Truth
from tests.store.worker import text
from tests.store.world import Hub, contents

ROOT = Path(__file__).parents[2]


class World:
    """What a client of the killed processes knows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.began = time.time() - 60
        self.uids: dict[int, int] = {}
        self.keyword: dict[int, str | None] = {}
        self.delivered: set[int] = set()
        self.here: set[int] = set()
        self.gone: set[int] = set()
        self.maybe: set[int] = set()
        self.ever: dict[int, int] = {}

    def kill_one(self, seed: int, lines: int) -> None:
        """Let a process work for so many lines, then kill it."""
        command = [sys.executable, "-m", "tests.store.worker", str(self.root), str(seed)]
        command.append(str(self.began))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(lines)]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
        assert all(line.endswith("\n") for line in said)
        self.hear([line.split() for line in said])

    def hear(self, said: list[list[str]]) -> None:
        """Take note of what was begun and done."""
        for number, (what, *rest) in enumerate(said):
            done = number + 1 < len(said) and said[number + 1][0] == what.upper()
            value = int(rest[0])
            if what in "ad":
                (self.here if done else self.maybe).add(value)
                self.delivered |= {value} if what == "d" else set()
            elif what in "AD":
                self.know(int(rest[1]), value)
            elif what in "em":
                (self.gone if done else self.maybe).add(self.ever.get(value, -value))
                self.keyword[value] = None  # it may come back from the spool, as it was
            elif what == "f":
                self.keyword[value] = f"k{rest[1]}" if done else None

    def know(self, uid: int, number: int) -> None:
        assert self.ever.setdefault(uid, number) == number, "a UID was used twice"

    def check(self) -> None:
        """Begin anew, file again what the spool still has, and look."""
        hub = Hub(self.root)
        filings = [
            hub.filing(f"q{number}", text(number), arrived=self.began)
            for number in sorted(self.delivered)
        ]
        assert run(hub.filer.file(filings)) == [None] * len(filings)
        mailbox = hub.open()
        found = run(contents(mailbox))
        numbers = [int(re.findall(rb"Subject: (\d+)", content)[0]) for content in found]
        for uid, number, content, bits in zip(
            mailbox.uids, numbers, found, mailbox.flags, strict=True
        ):
            assert content == text(number)
            self.know(uid, number)
            keyword = self.keyword.get(uid, "")
            if keyword:
                assert Truth.names(mailbox, bits) == {keyword}
        gone = {self.ever.get(-value, value) if value < 0 else value for value in self.gone}
        maybe = {self.ever.get(-value, value) if value < 0 else value for value in self.maybe}
        assert len(set(numbers)) == len(numbers), "a message is there twice"
        assert (self.here - gone - maybe) <= set(numbers), "a message is lost"
        assert not gone & set(numbers), "a message came back"
        sent = run(contents(hub.open("Sent")))
        assert not set(sent) & set(found), "a message is in both mailboxes"
        hub.stores.close()


def kill(root: Path, times: int) -> None:
    world, chance = World(root), random.Random(times)
    for seed in range(1, times + 1):
        world.kill_one(seed, chance.randrange(2, 60))
        world.check()


def test_kill(tmp_path: Path) -> None:
    """A few times, at random moments."""
    kill(tmp_path, 3)


@pytest.mark.soak
def test_kill_often(tmp_path: Path) -> None:
    """Many times."""
    kill(tmp_path, 300)
