"""``mailhub explain``: what would happen to a message now, and which line decides it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mailhub.accounts.database import at_once
from mailhub.accounts.record import address
from mailhub.cli.place import Place
from mailhub.cli.provider import stands
from mailhub.cli.show import json_option, print_json
from mailhub.mail.address import NULL, Path
from mailhub.mail.header import end
from mailhub.ports.web import FetchFailed

if TYPE_CHECKING:
    from mailhub.accounts.database import Accounts
    from mailhub.config.settings import Settings
    from mailhub.ports.conversation import Client
    from mailhub.ports.resolver import Resolver
    from mailhub.ports.web import Web
    from mailhub.queue.assurances import Assurances
    from mailhub.relay.allowances import Allowances
    from mailhub.relay.step import Letter, Listed, Step, World

T = TypeVar("T")

STRANGER: Final = "192.0.2.1"
"""The client of whom nothing is said: an address for examples (RFC 5737 §3)."""


@click.command(short_help="Say what would happen to a message, and why; nothing is sent.")
@click.option("--from", "sender", metavar="ADDRESS", required=True, help='Who sends; "" is <>.')
@click.option("--to", metavar="ADDRESS", multiple=True, required=True, help="Who is to get it.")
@click.option("--message", metavar="FILE", type=click.File("rb"), help="The message; - reads it.")
@click.option("--login", metavar="ADDRESS", help="Who has logged in.  [the sender, if it is ours]")
@click.option("--stranger", is_flag=True, help="Nobody has logged in: it comes to port 25.")
@click.option("--client", metavar="IP", default=STRANGER, help="From where it comes.")
@click.option("--requiretls", is_flag=True, help="As if MAIL had REQUIRETLS (RFC 8689).")
@click.option("--offline", is_flag=True, help="Look nothing up in the DNS.")
@json_option
@click.pass_obj
def explain(
    place: Place,
    sender: str,
    to: tuple[str, ...],
    message: Any,
    login: str | None,
    *,
    stranger: bool,
    client: str,
    requiretls: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Say what would happen to a message now: verdicts, route, provider, limits, TLS.

    Each is told with the line of the configuration that decides it. The functions that
    decide are those of the hub; no hub need run, and nothing is sent or kept.
    """
    from mailhub.relay.scout import Scout  # noqa: PLC0415
    from mailhub.relay.step import Letter, World  # noqa: PLC0415

    if stranger and login is not None:
        raise click.UsageError("--stranger is one who has not logged in.")
    settings = place.existing()
    content = message.read() if message is not None else b""
    letter = Letter(
        NULL if sender in ("", "<>") else address(sender),
        tuple(address(it) for it in to),
        content[: end(content)],
        len(content),
        requiretls,
    )
    with closing(place.accounts()) as accounts, ExitStack() as stack:
        peer = _client(accounts, letter.sender, login, client, stranger=stranger)
        allowances, kept = _allowances(settings, stack), _kept(settings, stack)
        listed = _listed(settings, stack)

        def world(resolver: Resolver | None, web: Web, clock: Any) -> World:
            protection, trusted = settings.relay.protection, settings.dns.trusted
            scout = Scout(kept, web, clock, time.time, protection, trusted=trusted)
            return World(
                settings,
                accounts,
                time.time,
                lambda _: None,
                allowances,
                scout,
                resolver,
                partial(stands, settings),
                listed,
            )

        steps = _asked(settings, letter, peer, world, offline=offline)
    if as_json:
        print_json([_as_json(step, settings) for step in steps])
    else:
        _draw(steps, settings)
    return 1 if any(step.refused for step in steps) else 0


def _allowances(settings: Settings, stack: ExitStack) -> Allowances:
    """What accounts may send, and have sent."""
    from mailhub.queue.spool import DATABASE, Spool  # noqa: PLC0415
    from mailhub.relay.allowances import Allowances, NothingSent, Sent  # noqa: PLC0415

    sent: Sent = NothingSent()
    if os.path.exists(f"{settings.hub.spool}/{DATABASE}"):
        sent = stack.enter_context(closing(Spool(settings.hub.spool)))
    return Allowances(settings.allowances, sent, time.time, lambda *_: None)


def _kept(settings: Settings, stack: ExitStack) -> Assurances | None:
    """What the hub has learnt of the TLS of others; None if it cannot be read."""
    from mailhub.queue.assurances import Assurances  # noqa: PLC0415

    with suppress(OSError):
        kept = Assurances(settings.hub.spool, lambda _: None, begin=False)
        return stack.enter_context(closing(kept))
    return None


def _listed(settings: Settings, stack: ExitStack) -> Listed:
    """Says who is on a suppression list."""
    from mailhub.queue.suppressions import DATABASE, Suppressions  # noqa: PLC0415

    if not os.path.exists(f"{settings.hub.state}/{DATABASE}"):
        return lambda sender, path: None  # noqa: ARG005
    lists = stack.enter_context(closing(Suppressions(settings.hub.state)))
    return lambda sender, path: lists.find(sender.domain, path, time.time())


def _client(
    accounts: Accounts, sender: Path, login: str | None, client: str, *, stranger: bool
) -> Client:
    """Who hands the message in."""
    from mailhub.ports.conversation import Client  # noqa: PLC0415

    path = sender if login is None else address(login)
    known = next((it for it in accounts.accounts() if it.path.key == path.key), None)
    if login is not None and known is None:
        raise click.ClickException(f"there is no account {path}")
    if stranger or known is None:
        return Client(client, 0, helo="client.example", protocol="ESMTP")
    return Client(client, 0, protocol="ESMTPSA", account=known, submission=True)


Making = Callable[["Resolver | None", "Web", Any], "World"]
"""Makes whom to ask, of a resolver, the web and a clock."""


class _NoWeb:
    """Where nothing is to be looked up."""

    async def get(self, host: str, path: str, limit: int) -> bytes:  # noqa: ARG002
        raise FetchFailed(f"{host} is not asked, offline")

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:  # noqa: ARG002
        raise FetchFailed(f"{host} is told nothing, offline")


def _asked(
    settings: Settings, letter: Letter, client: Client, making: Making, *, offline: bool
) -> list[Step]:
    """All steps; the DNS is asked if it is not `offline`."""
    from mailhub.relay.explain import explained  # noqa: PLC0415

    async def collected(resolver: Resolver | None, web: Web, clock: Any) -> list[Step]:
        return [step async for step in explained(letter, client, making(resolver, web, clock))]

    if offline:
        return at_once(collected(None, _NoWeb(), None))
    found: list[Step] = _in_reactor(settings, collected)
    return found


def _in_reactor(settings: Settings, work: Any) -> Any:
    """The result of work that is given a resolver and the web, and may wait for the network."""
    from twisted.internet.defer import Deferred  # noqa: PLC0415

    from mailhub.net.web import HttpsClient  # noqa: PLC0415
    from mailhub.service import real_world  # noqa: PLC0415
    from mailhub.surroundings import resolver_of  # noqa: PLC0415

    world = real_world()
    results: list[Any] = []

    def begin() -> None:
        resolver = resolver_of(settings, world)
        web = HttpsClient(world.reactor, resolver)
        done = Deferred.fromCoroutine(work(resolver, web, world.reactor))
        done.addBoth(results.append)
        done.addBoth(lambda _: world.reactor.stop())

    world.reactor.callWhenRunning(begin)
    world.reactor.run(installSignalHandlers=True)
    [result] = results
    if not isinstance(result, list):
        result.raiseException()
    return result


# ---- Drawing -------------------------------------------------------------------------------


def _as_json(step: Step, settings: Settings) -> dict[str, Any]:
    rule = step.rule
    return {
        "stage": step.stage,
        "about": step.about,
        "what": step.what,
        "refused": step.refused,
        "rule": None if rule is None else str(rule),
        "place": None if rule is None else settings.origins.place(rule),
    }


def _draw(steps: Sequence[Step], settings: Settings) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    about = ""
    for step in steps:
        if step.about != about:
            about = step.about
            console.print(Text(f"<{about}>" if about else "", style="bold"))
        line = Text(f"  {step.stage:<8} ", style="dim")
        line.append(_bare(step), style="bold red" if step.refused else "not dim")
        told = settings.origins.told(step.rule)
        if told:
            line.append(f"   {told}", style="cyan not dim")
        console.print(line)


def _bare(step: Step) -> str:
    """What a step says, without the words that stand before and above it already."""
    return step.what.removeprefix(f"{step.stage}: ").removeprefix(f"<{step.about}>: ")
