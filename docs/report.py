"""Tells about the code what a reader wants to know: ``python docs/report.py sections|sizes``.

``sections`` is the index from the standards to the code: each section that is
cited, and the lines that obey it. ``sizes`` lists the longest files and functions.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
CODE = ROOT / "mailhub"
CITATION = re.compile(r"\bRFC (\d{3,5})(?: §([0-9A-Z][0-9A-Za-z.]*[0-9A-Za-z]|\d))?")


def sections() -> Iterator[str]:
    """Each section cited, in order, and where."""
    found: dict[tuple[int, tuple[int, ...], str], list[str]] = defaultdict(list)
    for path in sorted(CODE.rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for rfc, section in CITATION.findall(line):
                order = tuple(int(it) for it in re.findall(r"\d+", section))
                found[int(rfc), order, section].append(f"{path.relative_to(ROOT)}:{number}")
    for (rfc, _, section), places in sorted(found.items()):
        yield f"RFC {rfc}" + (f" §{section}" if section else "")
        yield from (f"    {place}" for place in places)


def sizes(shown: int = 20) -> Iterator[str]:
    """The longest files and functions, and the middle of both."""
    files, functions = [], []
    for path in sorted(CODE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        if path.name != "__init__.py":
            files.append((len(text.splitlines()), name))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                length = node.end_lineno - node.lineno + 1
                functions.append((length, f"{name}:{node.lineno} {node.name}"))
    for what, found in (("files", files), ("functions", functions)):
        lengths = sorted(length for length, _ in found)
        ninth = lengths[len(lengths) * 9 // 10]
        yield f"{len(found)} {what}: median {median(lengths):.0f}, 90% below {ninth + 1} lines"
        yield from (f"{length:6d}  {name}" for length, name in sorted(found)[: -shown - 1 : -1])


REPORTS = {"sections": sections, "sizes": sizes}


def main(arguments: list[str]) -> int:
    """Print one report."""
    if len(arguments) != 1 or arguments[0] not in REPORTS:
        sys.stderr.write(f"usage: report.py {'|'.join(REPORTS)}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in REPORTS[arguments[0]]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
