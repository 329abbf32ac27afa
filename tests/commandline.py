"""The command line, run in this process: a Python of its own would take half a second."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from mailhub.cli import main


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    status: int
    out: str
    err: str


def operate(*arguments: str, stdin: str = "") -> Said:
    """Run ``mailhub`` with these arguments, as an operator would."""
    out, err = io.StringIO(), io.StringIO()
    kept, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = main.run(arguments)
    finally:
        sys.stdin = kept
    return Said(status, out.getvalue(), err.getvalue())


def done(*arguments: str, stdin: str = "") -> str:
    """What it prints, where it must succeed."""
    said = operate(*arguments, stdin=stdin)
    assert said.status == 0, said.err
    return said.out
