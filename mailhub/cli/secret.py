"""Where a command gets a password from: a prompt, standard input, or chance."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""No letters that a person mistakes for others."""
GROUPS: Final = 4
GROUP_LETTERS: Final = 5
"""Four groups of five of 32 letters: 100 bits."""


def password_options(command: F) -> F:
    """Give a command its ``--password`` and ``--generate``."""
    command = click.option(
        "--generate", is_flag=True, help="Make a password up, and print it once."
    )(command)
    return click.option(
        "--password",
        metavar="TEXT",
        help="The password; - reads it from standard input. Others on this machine may see the "
        "command line: without this option you are asked.",
    )(command)


def chosen(password: str | None, *, generate: bool) -> tuple[str, bool]:
    """The password, and whether it was made up and must be shown.

    Raises:
        UsageError: Both ways were given.
        ClickException: None came from standard input.
    """
    if generate and password is not None:
        raise click.UsageError("--password and --generate exclude each other.")
    if generate:
        return made_up(), True
    if password == "-" or (password is None and not sys.stdin.isatty()):  # noqa: S105  # not one
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise click.ClickException("no password on standard input (or use --generate)")
        return line, False
    if password is None:
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more")
        return asked, False
    return password, False


def made_up() -> str:
    """A password that nobody guesses and anybody can type."""
    return "-".join(
        "".join(secrets.choice(ALPHABET) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS)
    )
