"""What `mailhub demo` and `mailhub lab` share: servers on loopback for whoever starts them."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from mailhub.store.lock import StateLock

HOST: Final = "localhost"
ADDRESS: Final = "127.0.0.1"


def free_ports(services: Iterable[str]) -> dict[str, int]:
    """For each service a port of its own that nobody listens on now."""
    probes = {service: socket.socket() for service in services}
    try:
        for probe in probes.values():
            probe.bind((ADDRESS, 0))
        return {service: probe.getsockname()[1] for service, probe in probes.items()}
    finally:
        for probe in probes.values():
            probe.close()


def locked(state: str) -> StateLock:
    """The lock on a state directory, before anything in it is touched.

    Raises:
        ClickException: Another process has it.
    """
    from mailhub.store.lock import InUse, StateLock  # noqa: PLC0415

    os.makedirs(state, 0o700, exist_ok=True)
    lock = StateLock(state)
    try:
        lock.take()
    except InUse as error:
        raise click.ClickException(str(error)) from None
    return lock


def say(text: str) -> None:
    """Tell the person, if there still is one."""
    with suppress(OSError):
        click.echo(text)
        sys.stdout.flush()


def write_facts(facts: Mapping[str, object], ready: str) -> None:
    """Tell a waiting program that everything listens: the file appears whole."""
    partial = f"{ready}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2)
    os.replace(partial, ready)


def ready_file(ready: str | None) -> str | None:
    """Where the facts will be written, without those of an earlier run."""
    if ready is None:
        return None
    with suppress(FileNotFoundError):
        os.unlink(ready)
    return os.path.abspath(ready)
