"""Looks at running processes through /proc: CPU seconds and memory of a whole tree."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all that descend from it, those alive."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(parents.get(pid, ()))
    return found


def cpu(roots: list[int]) -> float:
    """User and system seconds used by the trees, children that have ended included."""
    total = 0
    for root in roots:
        for pid in tree(root):
            fields = _stat(pid)
            if fields:
                # utime stime cutime cstime: fields 14 to 17 of proc(5), counted from state
                total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def cpu_exactly(pid: int) -> float:
    """Seconds on a CPU of one process's threads that live, to the nanosecond, not to the tick.

    The ticks of `cpu` favour who sleeps and wakes often: for small differences they are too coarse.
    """
    # time spent on the cpu (in nanoseconds): the first field of proc(5)'s schedstat
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text(encoding="ascii").split()[0]) for file in files) / 1e9


def memory(roots: list[int]) -> int:
    """Proportional resident octets of the trees: pages shared by n processes count 1/n each."""
    total = 0
    for root in roots:
        for pid in tree(root):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()
