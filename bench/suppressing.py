"""What suppression lists and return paths cost: ``python -m bench.suppressing [ENTRIES]``.

A list with a million entries is made and asked, in the state directory that `BENCH_DIR` names
or a temporary one; signing and reading return paths, and reading a bounce, beside it. CPU
time of this process.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from mailhub.mail.address import Path
from mailhub.mail.bounce import bounce
from mailhub.policy.returnpath import Key, Keys, Ticket
from mailhub.policy.suppression import Entry, Reason
from mailhub.queue.ids import to_queue_id
from mailhub.queue.suppressions import DATABASE, PAGE, Suppressions

ENTRIES = 1_000_000
LOOKS = 100_000
NOW = 1_800_000_000.0
BOUNCE = FilePath(__file__).parents[1] / "tests" / "corpus" / "bounces" / "postfix.eml"


def entries(count: int) -> Iterator[list[Entry]]:
    """So many, in no order, page by page."""
    numbers = list(range(count))
    random.Random(1).shuffle(numbers)  # it is to be repeatable
    for first in range(0, count, PAGE):
        yield [
            Entry(
                "shop.example",
                f"user{number}@d{number % 1000}.example",
                Reason.HARD,
                NOW,
                NOW + 90 * 86_400.0,
                1,
                "550 5.1.1 No such user here (mx.example)",
                "0k3m9x7c4e2d",
            )
            for number in numbers[first : first + PAGE]
        ]


def each(count: int, work: Callable[[int], object]) -> float:
    """Microseconds of CPU for one of so many."""
    began = time.process_time()
    for number in range(count):
        work(number)
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    """Measure, and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as state:
        lists = Suppressions(state)
        empty = each(
            LOOKS, lambda n: lists.find("shop.example", Path(f"user{n}", "d.example"), NOW)
        )
        began = time.process_time()
        for page in entries(count):
            lists.put(page)
        took = time.process_time() - began
        size = os.path.getsize(f"{state}/{DATABASE}") / count
        chance = random.Random(2)
        some = [chance.randrange(count) for _ in range(LOOKS)]
        paths = [Path(f"user{number}", f"d{number % 1000}.example") for number in some]
        hit = each(LOOKS, lambda n: lists.find("shop.example", paths[n], NOW))
        miss = each(LOOKS, lambda n: lists.find("shop.example", Path(f"x{n}", "d7.example"), NOW))
        lists.close()
    print(f"{count} entries: put {took / count * 1e6:.1f} us each, {size:.0f} octets each")
    print(f"a look: {empty:.1f} us in an empty list; {hit:.1f} us found, {miss:.1f} us not found")
    keys = Keys((Key(0, b"secret" * 5),))
    signed = keys.path(Ticket(20_000, to_queue_id(1 << 50), 3), "shop.example")
    sign = each(20_000, lambda n: keys.path(Ticket(20_000, to_queue_id(n), n), "shop.example"))
    read = each(20_000, lambda _: keys.read(signed, 20_001, 30))
    content = BOUNCE.read_bytes().replace(b"\n", b"\r\n")
    told = each(2_000, lambda _: bounce(content, "bob@far.example"))
    print(f"a return path: {sign:.1f} us signed, {read:.1f} us read; a bounce: {told:.0f} us")


if __name__ == "__main__":
    main()
