"""``mailhub demo``: a whole mail server on loopback, and a world to write to.

A hub like any other, from a configuration file that the demo writes into its
state directory, with one thing added: a stand-in for the rest of the world. It
listens on a port of its own, takes all mail that the hub relays to other
domains, over SMTP as any next hop does, and keeps it for the account ``world``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from mailhub.cli.loopback import ADDRESS, HOST, free_ports, locked, ready_file, say, write_facts

if TYPE_CHECKING:
    from mailhub.cli.place import Place
    from mailhub.store.lock import StateLock

DOMAIN: Final = "hub.example"
PASSWORD: Final = "mailhub-demo"  # noqa: S105  # everybody may know it: loopback only
PEOPLE: Final = (f"alice@{DOMAIN}", f"bob@{DOMAIN}")
WORLD: Final = f"world@{DOMAIN}"
ELSEWHERE: Final = "carol@far.example"
WIDTH: Final = 92
"""Columns of a command to be copied."""
PORTS: Final[Mapping[str, int]] = {
    "smtp": 2525,
    "submission": 2587,
    "submissions": 2465,
    "imap": 2143,
    "imaps": 2993,
    "pop3": 2110,
    "pop3s": 2995,
}

_CONFIGURATION: Final = """\
# Written by `mailhub demo`, each time it starts.
[hub]
hostname = {domain}
state = {state}

[listen]
{listen}

[tls]
certificates = {chain} {key}

[auth]
default domain = {domain}
plaintext on loopback = yes

# Everything that is not for {domain} goes to the demo's stand-in for the world.
[route world]
recipients = *
host = {address}:{world}
tls = none
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that is ready to be started.

    Attributes:
        world: The port of the rest of the world.
        ca: The certificate to be trusted.
    """

    state: str
    ports: Mapping[str, int]
    world: int
    ca: str

    @property
    def file(self) -> str:
        """Its configuration."""
        return os.path.join(self.state, "mailhub.ini")

    @property
    def log(self) -> str:
        """What it does is written there."""
        return os.path.join(self.state, "log")


@click.command(short_help="Run a mail server to play with, on loopback.")
@click.option("--state", metavar="DIR", help="Keep its state here.  [default: a fresh directory]")
@click.option(
    "--ports",
    type=click.Choice(["fixed", "free"]),
    default="fixed",
    help="Ports 2525, 2587, 2465, 2143, 2993, 2110, 2995, or any that are free.",
)
@click.option("--ready", metavar="FILE", help="Write a JSON file once everything listens.")
@click.pass_obj
def demo(place: Place, state: str | None, ports: str, ready: str | None) -> int:
    """Run a mail server to play with: no configuration, no root, loopback only.

    Its domain is hub.example, with alice and bob; mail to any other domain is
    relayed over SMTP to a stand-in for the rest of the world, and can be read as
    the account world. The other subcommands work on it while it runs:
    `mailhub --state DIR account add carol@hub.example`.
    """
    given = state or place.state
    ready = ready_file(ready)
    directory = os.path.abspath(given or _fresh_directory())
    try:
        lock = locked(directory)
        free = free_ports([*PORTS, "world"])  # at once, so that none is given twice
        world = free.pop("world")
        prepared = prepare(directory, free if ports == "free" else PORTS, world)
        return _run(prepared, lock, ready)
    except BaseException:
        if given is None:  # it never ran: nobody needs what it left
            shutil.rmtree(directory, ignore_errors=True)
        raise


# ---- Preparing -----------------------------------------------------------------------------


def prepare(state: str, ports: Mapping[str, int], world: int) -> Demo:
    """Write the configuration, the certificate and the accounts of a demo.

    Raises:
        OSError: The directory cannot be used.
    """
    from mailhub.config.certificate import authority  # noqa: PLC0415

    os.makedirs(state, 0o700, exist_ok=True)
    signed = authority(os.path.join(state, "tls"), time.time())
    made = Demo(state, ports, world, signed.ca)
    text = _CONFIGURATION.format(
        domain=DOMAIN,
        state=state,
        listen="\n".join(f"{name} = {ADDRESS}:{port}" for name, port in ports.items()),
        chain=shlex.quote(signed.files.chain),
        key=shlex.quote(signed.files.key),
        address=ADDRESS,
        world=world,
    )
    with open(made.file, "w", encoding="utf-8") as file:
        file.write(text)
    _populate(made)
    return made


def _populate(made: Demo) -> None:
    """Have the accounts, with the passwords that the demo tells."""
    from mailhub.accounts.database import Accounts  # noqa: PLC0415
    from mailhub.accounts.password import secret  # noqa: PLC0415
    from mailhub.config.load import load  # noqa: PLC0415
    from mailhub.mail.address import parse_address  # noqa: PLC0415

    settings = load(made.file)
    kept = secret(PASSWORD, settings.auth.cost, os.urandom)
    with Accounts(settings.hub.accounts, settings.aliases) as accounts:
        if all(domain.name != DOMAIN for domain in accounts.domains()):
            accounts.add_domain(DOMAIN)
        there = {account.path.key for account in accounts.accounts(DOMAIN)}
        for address in (*PEOPLE, WORLD):
            path = parse_address(address)
            if path.key in there:
                accounts.set_secret(path, kept)
            else:
                accounts.add_account(path, kept)


def _fresh_directory() -> str:
    """A new directory in the user's cache; among temporary files, if there can be none."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parent = os.path.join(cache, "mailhub")
    try:
        if not os.path.isabs(parent):  # nobody knows where this user's home is
            raise FileNotFoundError(parent)
        os.makedirs(parent, 0o700, exist_ok=True)
        return tempfile.mkdtemp(prefix="demo-", dir=parent)
    except OSError:
        return tempfile.mkdtemp(prefix="mailhub-demo-")


# ---- Running -------------------------------------------------------------------------------


def _run(made: Demo, lock: StateLock, ready: str | None) -> int:
    """Run the hub and the world until a signal ends them."""
    from twisted.internet.error import CannotListenError  # noqa: PLC0415
    from twisted.logger import globalLogBeginner, textFileLogObserver  # noqa: PLC0415

    from mailhub.cli.world import World  # noqa: PLC0415
    from mailhub.config.load import load  # noqa: PLC0415
    from mailhub.hub import CannotStart, Hub  # noqa: PLC0415
    from mailhub.service import real_world  # noqa: PLC0415

    with open(made.log, "a", encoding="utf-8") as log:
        globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
        surroundings = real_world()
        reactor = surroundings.reactor
        hub = Hub(load(made.file), surroundings, lambda: load(made.file), lock)
        World(hub, made.world).setServiceParent(hub)
        failed: list[Exception] = []

        def begin() -> None:
            try:
                hub.privilegedStartService()
                hub.startService()
                if ready is not None:
                    write_facts(_facts(made), ready)
            except Exception as error:
                failed.append(error)
                reactor.stop()
            else:
                say(invitation(made))

        reactor.addSystemEventTrigger("before", "shutdown", hub.stopService)
        reactor.callWhenRunning(begin)
        reactor.run()
    for error in failed:
        if not isinstance(error, CannotStart):
            raise error
        taken = isinstance(error.__cause__, CannotListenError)
        raise click.ClickException(f"{error}; try --ports free" if taken else str(error))
    say(f"\nStopped. Its mail is kept, and there again with:\n{_mailhub('demo', made)}")
    return 0


def _facts(made: Demo) -> Mapping[str, object]:
    accounts = [{"address": address, "password": PASSWORD} for address in (*PEOPLE, WORLD)]
    return {
        "pid": os.getpid(),
        "host": HOST,
        "ports": dict(made.ports),
        "ca": made.ca,
        "domain": DOMAIN,
        "accounts": accounts,
        "state": made.state,
    }


# ---- Inviting ------------------------------------------------------------------------------


def invitation(made: Demo) -> str:
    """Where everything is, and commands to copy: whole, and good in any shell and directory."""
    port = made.ports
    alice, bob = PEOPLE
    tried = (
        ("Bob writes to Alice", _mailhub("send", made, *_letter(bob, alice))),
        ("she reads it", _curl(made, f"imaps://{HOST}:{port['imaps']}/INBOX;MAILINDEX=*", alice)),
        (
            "she answers somebody far away, over SMTP as anywhere; a stand-in takes it",
            _mailhub("send", made, *_letter(alice, ELSEWHERE)),
        ),
        ("which is read as world", _curl(made, f"pop3s://{HOST}:{port['pop3s']}/1", WORLD)),
        (
            "another server brings mail for Bob",
            "  printf 'Subject: Hello\\r\\n\\r\\nHello, Bob\\r\\n' |\n"
            + _curl(
                made,
                f"smtp://{HOST}:{port['smtp']}",
                None,
                *("--mail-from", ELSEWHERE, "--mail-rcpt", bob, "--upload-file", "-"),
            ),
        ),
        ("one account more", _mailhub("account", made, "add", f"dora@{DOMAIN}", "--generate")),
        ("what waits to be sent", _mailhub("queue", made, "list")),
    )
    shown = "\n".join(f"- {what}:\n{command}" for what, command in tried)
    return f"""\
mailhub is running, on this machine only. Ctrl-C stops it.

Accounts   {", ".join((*PEOPLE, WORLD))}
Password   {PASSWORD}, for each of them
Sending    smtp://{HOST}:{port["submission"]} (STARTTLS)   smtps://{HOST}:{port["submissions"]}
Reading    imap://{HOST}:{port["imap"]} (STARTTLS)   imaps://{HOST}:{port["imaps"]}
           pop3://{HOST}:{port["pop3"]} (STARTTLS)   pop3s://{HOST}:{port["pop3s"]}
Receiving  smtp://{HOST}:{port["smtp"]} (from other servers)
Trust      {made.ca}
State      {made.state}
Log        {made.log}

Try, in another terminal:

{shown}
"""


def _letter(sender: str, to: str) -> tuple[str, ...]:
    login = ("--from", sender, "--to", to, "--password", PASSWORD)
    return (*login, "--subject", "Hello", "--body", f"Hello, {to.partition('@')[0].title()}")


def _mailhub(command: str, made: Demo, *arguments: str) -> str:
    beside = os.path.join(os.path.dirname(sys.executable), "mailhub")
    program = [beside] if os.access(beside, os.X_OK) else [sys.executable, "-m", "mailhub"]
    return _wrapped(*program, "--state", made.state, command, *arguments)


def _curl(made: Demo, url: str, login: str | None, *arguments: str) -> str:
    user = () if login is None else ("--user", f"{login}:{PASSWORD}")
    return _wrapped("curl", "-sS", "--ssl-reqd", "--cacert", made.ca, *user, url, *arguments)


def _wrapped(*words: str) -> str:
    """A command for a shell, on lines that a terminal does not break."""
    lines = [" "]
    for word in _with_values(words):
        if len(lines[-1]) + len(word) > WIDTH and lines[-1].strip():
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _with_values(words: Sequence[str]) -> Iterator[str]:
    """The words, quoted; options together with their values."""
    option = ""
    for word in words:
        if option and word.startswith("--"):
            yield option
            option = ""
        if word.startswith("--"):
            option = word
        else:
            yield f"{option} {shlex.quote(word)}".lstrip()
            option = ""
    if option:
        yield option
