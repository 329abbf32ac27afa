"""What is on a lab's disk before it runs: two configurations, a certificate, a login.

Of two hubs: one takes the application's mail and sends it into the world, as any production
hub does; the other holds the inboxes of everybody there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Secret, secret
from mailhub.config.certificate import authority
from mailhub.config.load import load
from mailhub.config.settings import SERVICES, Settings
from mailhub.mail.address import parse_address
from mailhub.sim.hub import CHEAP

ADDRESS: Final = "127.0.0.1"
DOMAIN: Final = "lab.test"
LOGIN: Final = f"app@{DOMAIN}"
PASSWORD: Final = "lab"  # noqa: S105  # everybody may know it: loopback only
NAMES: Final = ("localhost", "hub.lab.test")
SENDING: Final = ("smtp", "submission", "submissions")
READING: Final = ("imap", "imaps", "pop3", "pop3s")
KEPT: Final = frozenset({"tls", "log", "lock"})
"""What is left of the state directory where all begins anew."""

_COMMON: Final = """\
# Written by `mailhub lab`, each time it starts.
[hub]
hostname = {name}
state = {state}
postmaster = postmaster@inbox.test

[listen]
{listen}

[tls]
certificates = {chain} {key}

[auth]
default domain = {domain}
plaintext on loopback = yes
"""
_SENDS: Final = (
    _COMMON
    + """
[smtp]
trusted networks = 127.0.0.0/8
{patience}

[submission]
own addresses only = no
{patience}

[suppression]
return paths = bulk
return domain = returns.{domain}
"""
)
_READS: Final = (
    _COMMON
    + """
# Clients do not time out when the clock is moved.
[imap]
login patience = 3650d
patience = 3650d
idle patience = 3650d

[pop3]
patience = 3650d
"""
)
_PATIENCE: Final = """\
# Clients do not time out when the clock is moved.
command patience = 3650d
login patience = 3650d
content patience = 3650d
session = 0"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A lab that is ready to be started.

    Attributes:
        ports: By service, ``http`` among them.
        ca: The certificate to be trusted.
        secret: Of the password that all inboxes have.
    """

    state: str
    ports: Mapping[str, int]
    ca: str
    secret: Secret

    @property
    def sending(self) -> str:
        """The configuration of the hub that sends."""
        return os.path.join(self.state, "mailhub.ini")

    @property
    def reading(self) -> str:
        """The configuration of the hub that holds the inboxes."""
        return os.path.join(self.state, "inboxes", "mailhub.ini")

    @property
    def ahead(self) -> float:
        """Seconds that the lab's clock was ahead of the machine's, when it was last moved."""
        try:
            with open(self._clock, encoding="ascii") as file:
                return max(0.0, float(file.read()))
        except (FileNotFoundError, ValueError):
            return 0.0

    def remember(self, ahead: float) -> None:
        """Keep how far the clock is ahead: mail that is kept has dates that were to come."""
        with open(self._clock, "w", encoding="ascii") as file:
            file.write(f"{ahead:.3f}\n")

    @property
    def _clock(self) -> str:
        return os.path.join(self.state, "clock")

    @property
    def log(self) -> str:
        """What happens is written there."""
        return os.path.join(self.state, "log")

    def settings(self) -> tuple[Settings, Settings]:
        """What the two hubs obey."""
        return load(self.sending), load(self.reading)


def prepare(state: str, ports: Mapping[str, int]) -> Prepared:
    """Write all that a lab needs into a directory.

    Raises:
        OSError: The directory cannot be used.
    """
    inboxes = os.path.join(state, "inboxes")
    for directory in (state, inboxes):
        os.makedirs(directory, 0o700, exist_ok=True)
    signed = authority(os.path.join(state, "tls"), time.time(), NAMES)
    made = Prepared(state, ports, signed.ca, secret(PASSWORD, CHEAP, os.urandom))
    for text, file, name, where, services in (
        (_SENDS, made.sending, "hub.lab.test", state, SENDING),
        (_READS, made.reading, "inboxes.lab.test", inboxes, READING),
    ):
        places = {it: f"{ADDRESS}:{ports[it]}" if it in services else "" for it in SERVICES}
        listen = "\n".join(f"{it} = {place}" for it, place in places.items())
        filled = text.format(
            name=name,
            state=where,
            listen=listen,
            chain=shlex.quote(signed.files.chain),
            key=shlex.quote(signed.files.key),
            domain=DOMAIN,
            patience=_PATIENCE,
        )
        with open(file, "w", encoding="utf-8") as output:
            output.write(filled)
    _populate(made)
    return made


def again(made: Prepared) -> Prepared:
    """As it was before anything happened; the certificate stays, and who holds the directory.

    Raises:
        OSError: The directory cannot be used.
    """
    for entry in os.scandir(made.state):
        if entry.name in KEPT:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    return prepare(made.state, made.ports)


def _populate(made: Prepared) -> None:
    """Have the account that applications may log in to."""
    settings = load(made.sending)
    path = parse_address(LOGIN)
    with Accounts(settings.hub.accounts, settings.aliases) as accounts:
        if accounts.credentials(path) is not None:
            accounts.set_secret(path, made.secret)
            return
        accounts.add_domain(DOMAIN)
        accounts.add_account(path, made.secret)
        # Mail for it, such as bounces, goes to the inbox of that address, as to all others.
        accounts.enable_domain(DOMAIN, enabled=False)
