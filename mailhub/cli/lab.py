"""``mailhub lab``: a mail world on loopback, for those who write programs that send mail.

A program under test hands its mail in; each domain of the world does with it what its name
says; inboxes are read over IMAP, POP3 and HTTP; and the clock can be moved.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from mailhub.cli.loopback import HOST, free_ports, locked, ready_file, say, write_facts

if TYPE_CHECKING:
    from mailhub.cli.place import Place
    from mailhub.lab.prepared import Prepared
    from mailhub.sim.worldfile import Atlas

PORTS: Final[Mapping[str, int]] = {
    "smtp": 3525,
    "submission": 3587,
    "submissions": 3465,
    "imap": 3143,
    "imaps": 3993,
    "pop3": 3110,
    "pop3s": 3995,
    "http": 3080,
}


@click.command(short_help="Run a mail world for testing programs that send mail.")
@click.option("--state", metavar="DIR", help="Keep its state here.  [default: none is kept]")
@click.option(
    "--ports",
    type=click.Choice(["fixed", "free"]),
    default="fixed",
    help="Ports 3525, 3587, 3465, 3143, 3993, 3110, 3995, 3080, or any that are free.",
)
@click.option("--ready", metavar="FILE", help="Write a JSON file once everything listens.")
@click.option(
    "--world",
    metavar="WORLD",
    default="lab",
    show_default=True,
    help="Who lives there: lab, calm, providers, hostile or a file.",
)
@click.pass_obj
def lab(place: Place, state: str | None, ports: str, ready: str | None, world: str) -> int:
    """Run a mail world for testing programs that send mail, on loopback only.

    Hand mail in over SMTP, with or without a login; what becomes of it depends on the
    recipient's domain: greylist.test, full.test, bounces-later.test and others. Every
    other domain takes it. Read any inbox over IMAP, POP3 or HTTP, and move the clock:
    `curl localhost:3080/clock --json '{"advance": "5h"}'`.
    """
    from mailhub.lab.lab import world_named  # noqa: PLC0415

    atlas = world_named(world)
    given = state or place.state
    ready = ready_file(ready)
    directory = os.path.abspath(given or tempfile.mkdtemp(prefix="mailhub-lab-"))
    try:
        return _run(directory, free_ports(PORTS) if ports == "free" else PORTS, atlas, ready)
    finally:
        if given is None:
            shutil.rmtree(directory, ignore_errors=True)


def _run(state: str, ports: Mapping[str, int], atlas: Atlas, ready: str | None) -> int:
    """Run it until a signal ends it."""
    from twisted.internet.defer import Deferred  # noqa: PLC0415
    from twisted.internet.error import CannotListenError  # noqa: PLC0415
    from twisted.logger import globalLogBeginner, textFileLogObserver  # noqa: PLC0415

    from mailhub.hub import CannotStart  # noqa: PLC0415
    from mailhub.lab.lab import Lab  # noqa: PLC0415
    from mailhub.lab.prepared import prepare  # noqa: PLC0415
    from mailhub.service import real_world  # noqa: PLC0415

    lock = locked(state)
    made = prepare(state, ports)
    failed: list[Exception] = []
    with open(made.log, "a", encoding="utf-8") as log:
        globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
        machine = real_world()
        reactor: Any = machine.reactor
        running = Lab(made, atlas, machine, lock)

        def begin() -> None:
            try:
                running.start()
                if ready is not None:
                    write_facts(facts(made), ready)
            except Exception as error:
                failed.append(error)
                reactor.stop()
            else:
                say(invitation(made, atlas))

        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(running.stop())
        )
        reactor.callWhenRunning(begin)
        reactor.run()
    for error in failed:
        if isinstance(error, CannotStart | CannotListenError):
            raise click.ClickException(f"{error}; try --ports free")
        raise error
    return 0


def facts(made: Prepared) -> Mapping[str, object]:
    """Where everything is, for a program."""
    from mailhub.lab.prepared import LOGIN, PASSWORD  # noqa: PLC0415

    return {
        "pid": os.getpid(),
        "host": HOST,
        "ports": dict(made.ports),
        "url": f"http://{HOST}:{made.ports['http']}",
        "ca": made.ca,
        "login": LOGIN,
        "password": PASSWORD,
        "state": made.state,
    }


def invitation(made: Prepared, atlas: Atlas) -> str:
    """Where everything is, for a person."""
    from mailhub.lab.prepared import LOGIN, PASSWORD  # noqa: PLC0415

    port = made.ports
    domains = [name for it in atlas.providers for name in it.domains if name != "*"]
    url = f"http://{HOST}:{port['http']}"
    return f"""\
The lab is running, on this machine only. Ctrl-C stops it.

Hand in    smtp://{HOST}:{port["smtp"]}, without a login or as {LOGIN}, password {PASSWORD}
           smtp://{HOST}:{port["submission"]} (STARTTLS)   smtps://{HOST}:{port["submissions"]}
Read       imap://{HOST}:{port["imap"]}   imaps://{HOST}:{port["imaps"]}
           pop3://{HOST}:{port["pop3"]}   pop3s://{HOST}:{port["pop3s"]}
           as any address that got mail, password {PASSWORD}
HTTP       {url}
Trust      {made.ca}
Log        {made.log}
Domains    {" ".join(domains[:5])} …; others take all mail

  curl '{url}/inboxes/ann@inbox.test?wait=5'
  curl '{url}/journeys?to=ann@greylist.test'
  curl {url}/clock --json '{{"advance": "5h"}}'
"""
