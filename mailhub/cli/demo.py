"""``mailhub demo``: a whole mail server on loopback, and a world to write to.

A hub like any other, from a configuration file that the demo writes into its
state directory, with one thing added: a stand-in for the rest of the world. It
listens on a port of its own, takes all mail that the hub relays to other
domains, over SMTP as any next hop does, and keeps it for the account ``world``.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from mailhub.cli.place import Place

HOST: Final = "localhost"
ADDRESS: Final = "127.0.0.1"
DOMAIN: Final = "hub.example"
PASSWORD: Final = "mailhub-demo"  # noqa: S105  # everybody may know it: loopback only
PEOPLE: Final = (f"alice@{DOMAIN}", f"bob@{DOMAIN}")
WORLD: Final = f"world@{DOMAIN}"
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
    directory = os.path.abspath(state or place.state or _fresh_directory())
    prepared = prepare(directory, _free_ports() if ports == "free" else PORTS)
    return _run(prepared, ready)


# ---- Preparing -----------------------------------------------------------------------------


def prepare(state: str, ports: Mapping[str, int]) -> Demo:
    """Write the configuration, the certificate and the accounts of a demo.

    Raises:
        OSError: The directory cannot be used.
    """
    from mailhub.config.certificate import authority  # noqa: PLC0415

    os.makedirs(state, 0o700, exist_ok=True)
    signed = authority(os.path.join(state, "tls"), time.time())
    [world] = _unused(1)
    made = Demo(state, ports, world, signed.ca)
    text = _CONFIGURATION.format(
        domain=DOMAIN,
        state=state,
        listen="\n".join(f"{name} = {ADDRESS}:{port}" for name, port in ports.items()),
        chain=signed.files.chain,
        key=signed.files.key,
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
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parent = os.path.join(cache, "mailhub")
    os.makedirs(parent, 0o700, exist_ok=True)
    return tempfile.mkdtemp(prefix="demo-", dir=parent)


def _free_ports() -> Mapping[str, int]:
    return dict(zip(PORTS, _unused(len(PORTS)), strict=True))


def _unused(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((ADDRESS, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


# ---- Running -------------------------------------------------------------------------------


def _run(made: Demo, ready: str | None) -> int:
    """Run the hub and the world until a signal ends them."""
    from twisted.internet.error import CannotListenError  # noqa: PLC0415
    from twisted.logger import globalLogBeginner, textFileLogObserver  # noqa: PLC0415

    from mailhub.cli.world import World  # noqa: PLC0415
    from mailhub.config.load import load  # noqa: PLC0415
    from mailhub.hub import Hub, told  # noqa: PLC0415
    from mailhub.service import real_world  # noqa: PLC0415

    with open(os.path.join(made.state, "log"), "a", encoding="utf-8") as log:
        globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
        surroundings = real_world()
        reactor = surroundings.reactor
        hub = Hub(load(made.file), surroundings, lambda: load(made.file))
        World(hub, made.world).setServiceParent(hub)
        try:
            hub.privilegedStartService()
            hub.startService()
        except Exception as error:
            line = told(error)
            if line is None:
                raise
            hint = "; try --ports free" if isinstance(error, CannotListenError) else ""
            raise click.ClickException(line + hint) from None
        reactor.addSystemEventTrigger("before", "shutdown", hub.stopService)
        reactor.callWhenRunning(_announce, made, ready)
        reactor.run()
    return 0


def _announce(made: Demo, ready: str | None) -> None:
    """Tell whoever waits that everything listens."""
    if ready is not None:
        partial = f"{ready}.{os.getpid()}"
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(_facts(made), file, indent=2)
        os.replace(partial, ready)
    click.echo(_invitation(made))
    sys.stdout.flush()


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


def _invitation(made: Demo) -> str:
    """What a person can do with it, ready to be copied."""
    ports, alice = made.ports, PEOPLE[0]
    login = f"--cacert {made.ca} --user {alice}:{PASSWORD}"
    mailhub = f"mailhub --state {made.state}"
    return f"""mailhub is running, on this machine only. Ctrl-C stops it.

Accounts   {", ".join((*PEOPLE, WORLD))}; password of each: {PASSWORD}
Receive    smtp://{HOST}:{ports["smtp"]}
Submit     smtp://{HOST}:{ports["submission"]} (STARTTLS)   smtps://{HOST}:{ports["submissions"]}
Read       imap://{HOST}:{ports["imap"]}   imaps://{HOST}:{ports["imaps"]}
           pop3://{HOST}:{ports["pop3"]}   pop3s://{HOST}:{ports["pop3s"]}
Trust      {made.ca}
State      {made.state} (its log is there, too)

Try:
  {mailhub} send --from {alice} --to carol@far.example \
      --user {alice} --password {PASSWORD} --subject Hello --body 'Hello, world'
  curl -s {login} 'imaps://{HOST}:{ports["imaps"]}/INBOX;MAILINDEX=1'
  {mailhub} account add carol@{DOMAIN}
  {mailhub} queue list
Mail to other domains goes out over SMTP to a stand-in for the world: read it as {WORLD}.
"""
