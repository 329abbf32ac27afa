"""What journeys cost: the same mail with them and without, in turn, in CPU seconds.

    python -m bench.journeys [--rounds 5] [--messages 3000]

Wall time on a machine that others use says little of a few percent; the server's user and
system time says more, and the median of pairs that were run one after the other still more.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import time

from bench import processes
from bench.clients import Imap, source
from bench.peers import Mailhub, address, clean, free_port, wait_for
from bench.postfix import search_path

WITHOUT = "[journey]\nkeep = 0\n"
RELAYING = """
[smtp]
trusted networks = 127.0.0.0/8
[route sink]
recipients = *
host = 127.0.0.1:{port}
tls = none
"""


def filed(messages: int, more: str) -> float:
    """CPU seconds of filing so many messages, from 20 sessions."""
    hub = Mailhub(more)
    hub.start()
    try:
        with Imap(hub.ports["imap"], 1) as imap:
            spent = processes.cpu(hub.roots())
            source(hub.ports["smtp"], sessions=20, messages=messages, size=4096, to=address(1))
            while imap.messages() < messages:
                time.sleep(0.05)
        time.sleep(2)  # what is written behind the mail's back is written
        return processes.cpu(hub.roots()) - spent
    finally:
        hub.stop()


def relayed(messages: int, more: str) -> float:
    """CPU seconds of relaying so many messages to Postfix's smtp-sink."""
    port = free_port()
    program = shutil.which("smtp-sink", path=search_path())
    assert program
    sink = subprocess.Popen(
        [program, "-u", "nobody", "-M", str(messages), f"127.0.0.1:{port}", "1000"]
    )
    hub = Mailhub(RELAYING.format(port=port) + more)
    try:
        wait_for(port, b"220")
        hub.start()
        spent = processes.cpu(hub.roots())
        to = "someone@elsewhere.example"
        source(hub.ports["smtp"], sessions=20, messages=messages, size=4096, to=to)
        sink.wait(300)
        time.sleep(2)
        return processes.cpu(hub.roots()) - spent
    finally:
        hub.stop()
        sink.kill()
        sink.wait()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=3000)
    options = parser.parse_args()
    count = options.messages
    try:
        for work in (filed, relayed):
            pairs = []
            for number in range(options.rounds):
                # In turn, and each first as often: who comes second finds the machine warm.
                order = (WITHOUT, "") if number % 2 else ("", WITHOUT)
                spent = {more: work(count, more) for more in order}
                pairs.append((spent[WITHOUT], spent[""]))
            off, on = (statistics.median(side) / count * 1e6 for side in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(
                f"{work.__name__}: {off:.0f} µs a message without, {on:.0f} µs with journeys:"
                f" {(ratio - 1) * 100:+.1f} %"
            )
    finally:
        clean()


if __name__ == "__main__":
    main()
