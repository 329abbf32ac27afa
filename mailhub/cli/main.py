"""``mailhub``: the command line's entrance.

Exit status: 0 done; 1 it could not be done, and one line on standard error
says why; 2 the command line itself was wrong; 130 interrupted.

A subcommand's module is imported when it is asked for, so that ``--help``
answers at once.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, NoReturn

import click

from mailhub import __version__
from mailhub.cli.place import Place

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

COMMANDS: Final = {
    "demo": ("mailhub.cli.demo:demo", "Run a mail server to play with, on loopback."),
    "init": ("mailhub.cli.init:init", "Prepare a hub: state, certificate, a first account."),
    "check": ("mailhub.cli.check:check", "Check the configuration; tell all its mistakes."),
    "account": ("mailhub.cli.account:account", "Add, list and change accounts."),
    "domain": ("mailhub.cli.domain:domain", "Add, list, disable and delete hosted domains."),
    "alias": ("mailhub.cli.alias:alias", "Add, list and delete aliases."),
    "group": ("mailhub.cli.group:group", "Make groups of accounts, for sharing mailboxes."),
    "queue": ("mailhub.cli.queue:queue", "Look at the queue, and change it."),
    "provider": ("mailhub.cli.provider:provider", "Look at providers, suspend them, set a pace."),
    "suppression": (
        "mailhub.cli.suppression:suppression",
        "Look at suppression lists, and change them.",
    ),
    "journey": ("mailhub.cli.journey:journey", "Show what happened to a message, and why."),
    "explain": ("mailhub.cli.explain:explain", "Say what would happen to a message, and why."),
    "simulate": (
        "mailhub.cli.simulate:simulate",
        "Try a campaign, or a configuration, in a virtual internet.",
    ),
    "lab": ("mailhub.cli.lab:lab", "Run a mail world for testing programs that send mail."),
    "index": ("mailhub.cli.index:index", "Rebuild the indexes over the maildirs."),
    "send": ("mailhub.cli.send:send", "Send a message through submission."),
}
"""Name, where its command is, and the line that ``--help`` shows."""


class Commands(click.Group):
    """Knows its subcommands by name, and imports one when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or a hint at the one that was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean '{near[0]}'?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state",
    metavar="DIR",
    envvar="MAILHUB_STATE",
    help="The hub's state directory, such as a demo's.",
)
@click.option(
    "--config",
    metavar="FILE",
    envvar="MAILHUB_CONFIG",
    help="The configuration file.  [default: mailhub.ini in --state, or /etc/mailhub/mailhub.ini]",
)
@click.version_option(__version__, prog_name="mailhub", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, state: str | None, config: str | None) -> None:
    """Operate a mailhub: one process that receives, sends, relays and serves mail.

    `mailhub demo` shows all of it on loopback. A real hub runs under twistd:
    `twistd mailhub --config FILE`. What is changed here is in force at once,
    whether the hub runs or not.
    """
    context.obj = Place(state, config)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show stops nothing
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; its exit status."""
    try:
        status: Any = cli.main(arguments, prog_name="mailhub", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("mailhub: interrupted", err=True)
        return INTERRUPTED
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        return _failed(error.format_message())
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has gone; Python would complain when it flushes
        return OK
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        return _failed(told)
    return status if isinstance(status, int) else OK


def _failed(text: str) -> int:
    for line in text.splitlines() or [""]:
        click.echo(f"mailhub: {line}", err=True)
    return FAILED


def _told(error: Exception) -> str | None:
    """What a person should read of an error; None for one that is a bug of ours."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return where + (error.strerror or str(error))
    # By name: importing their modules for this would cost every command its start.
    if type(error).__module__.startswith(("mailhub.", "sqlite3")) and not isinstance(
        error, (AssertionError, TypeError)
    ):
        return str(error) or type(error).__name__
    return None
