"""Which hub a command is about: its settings, and its state directory as the right user.

Root is a bad user to change a hub's files as: what it makes the hub could not
open. Whoever is root becomes the state directory's owner before touching it.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from mailhub.accounts.database import Accounts
    from mailhub.config.settings import Settings

T = TypeVar("T")

SYSTEM_FILE: Final = "/etc/mailhub/mailhub.ini"
"""The configuration of the machine's hub."""
FILE_NAME: Final = "mailhub.ini"
"""The configuration inside a state directory, if it has its own."""


@dataclass(slots=True)
class Place:
    """What ``--state`` and ``--config`` said."""

    state: str | None
    config: str | None

    @property
    def file(self) -> str | None:
        """The configuration file to read; None for a state directory without one."""
        if self.config is not None:
            return self.config
        if self.state is not None:
            inside = os.path.join(self.state, FILE_NAME)
            return inside if os.path.exists(inside) else None
        return SYSTEM_FILE

    def settings(self) -> Settings:
        """The hub's settings.

        Raises:
            ClickException: There is no hub to speak of.
            ConfigError: The file has mistakes.
            OSError: It cannot be read.
        """
        from dataclasses import replace  # noqa: PLC0415

        from mailhub.config.load import load  # noqa: PLC0415
        from mailhub.config.settings import Settings  # noqa: PLC0415

        file = self.file
        if file is None:
            settings = Settings()
        elif self.config is None and not os.path.exists(file):
            raise click.ClickException(
                f"which hub? {file} is not there: name one with --state DIR or --config FILE"
            )
        else:
            settings = load(file)
        if self.state is not None:
            hub = replace(settings.hub, state=os.path.abspath(self.state))
            settings = replace(settings, hub=hub)
        return settings

    def existing(self) -> Settings:
        """The settings of a hub whose state directory is there, as the user who owns it.

        Raises:
            ClickException: There is no such directory, or it is not ours to change.
        """
        settings = self.settings()
        state = settings.hub.state
        if not os.path.isdir(state):
            raise click.ClickException(
                f"{state} is not there: `mailhub init` makes it, or --state DIR names another"
            )
        become_owner(state)
        return settings

    def accounts(self) -> Accounts:
        """The hub's database of domains, accounts and aliases."""
        from mailhub.accounts.database import Accounts  # noqa: PLC0415

        settings = self.existing()
        return Accounts(settings.hub.accounts, settings.aliases)


def become_owner(directory: str) -> None:
    """If we are root, be the directory's owner from here on.

    Raises:
        ClickException: We are neither root nor its owner.
    """
    owner = os.stat(directory).st_uid
    if os.geteuid() == owner:
        return
    if os.geteuid() != 0:
        raise click.ClickException(f"{directory} belongs to another user; try it with sudo")
    try:
        become(pwd.getpwuid(owner))
    except KeyError:
        raise click.ClickException(f"{directory} belongs to a user without a name") from None


def become(user: pwd.struct_passwd) -> None:
    """Be another user from here on; for root alone."""
    if user.pw_uid == os.geteuid():
        return
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
