"""Says of one recipient whether a suppression list keeps mail back, and which return path it has.

The part of `relay.explain` that is about `relay.suppressor`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.access import may_relay
from mailhub.policy.provider import Provider
from mailhub.policy.route import Smarthost
from mailhub.policy.suppression import Action, excepted, refusal
from mailhub.ports.conversation import Client
from mailhub.relay.step import Letter, Step, World


async def unwanted(
    letter: Letter, client: Client, path: Path, class_name: str, world: World
) -> AsyncIterator[Step]:
    """What is decided of mail of a class; a step that is refused is the last one."""
    settings, sender, about = world.settings, letter.sender, str(path)
    if not sender.domain or not may_relay(client, settings.access):
        return
    sending = settings.suppression.of(sender.domain)
    terms = sending.terms
    entry = None if excepted(sender, path) else world.listed(sender, path)
    if entry is not None and terms.concerns(class_name, entry.reason):
        rule = sending.rule("action")
        held = terms.action is Action.HOLD
        what = f"accepted and held: {entry.told}" if held else refusal(entry, path).text
        yield Step("list", about, what, rule, refused=True)
        return
    if entry is not None:
        what = f"sent all the same, as mail of class {class_name}: {entry.told}"
        yield Step("list", about, what, sending.rule("classes"))


async def returning(
    letter: Letter,
    client: Client,
    path: Path,
    class_name: str,
    world: World,
    provider: Provider | None,
) -> AsyncIterator[Step]:
    """Which return path mail of a class has, if it might have one of ours.

    `provider` runs the hosts that it goes to, if that is known.
    """
    settings, sender = world.settings, letter.sender
    if not sender.domain or not may_relay(client, settings.access):
        return
    sending = settings.suppression.of(sender.domain)
    if sending.terms.rewrites(class_name):
        what = await _return_path(sender, path, world, provider)
        yield Step("return", str(path), what, sending.rule("return paths"))


async def _return_path(sender: Path, path: Path, world: World, provider: Provider | None) -> str:
    """Which return path such mail has, or why none of ours."""
    settings = world.settings
    domain = settings.suppression.of(sender.domain).terms.return_domain
    ways = settings.ways()
    try:
        hop = ways.hop(sender, path)
    except Refusal:
        return "return path: none, for there is no way to go"
    if not ways.may_return(hop, sender, path):
        return "return path: as it is, on this way"
    # A smarthost has no detour of its own: mail that is there has left us.
    detour = "" if provider is None or isinstance(hop, Smarthost) else provider.detour
    if not ways.may_return(hop, sender, path, detour):
        return f"return path: as it is, for the detour {detour} takes none of ours"
    if not domain and not await world.directory.hosted(sender.domain):
        return f"return path: as it is, for {sender.domain} is not hosted here"
    return f"return path: bounce+...@{domain or sender.domain}, signed"
