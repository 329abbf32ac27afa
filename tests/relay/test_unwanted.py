"""What is told of suppression lists and return paths, before anything is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.policy.provider import Provider
from mailhub.policy.route import Route, Smarthost
from mailhub.policy.rule import Rule
from mailhub.policy.suppression import Action, Entry, Reason, Suppression, Terms
from mailhub.ports.conversation import Client
from mailhub.relay.step import Letter, Step
from mailhub.relay.unwanted import returning, unwanted
from tests.relay.test_explain import ALICE, ANN, SETTINGS, STRANGER, steps, world_of
from tests.rig import run

FAR = Path("x", "far.example")
ENTRY = Entry("hub.example", "x@far.example", Reason.COMPLAINT, 0.0)


def of(
    terms: Terms | None = None,
    *,
    entry: Entry | None = None,
    client: Client = ALICE,
    sender: Path = ANN,
    class_name: str = "bulk",
    path: Path = FAR,
) -> list[Step]:
    settings = replace(SETTINGS, suppression=Suppression(terms or Terms()))
    world = replace(world_of(settings, None), listed=lambda *_: entry)

    async def collected() -> list[Step]:
        found = unwanted(Letter(sender, (path,)), client, path, class_name, world)
        return [step async for step in found]

    return run(collected())


class TestLists:
    def test_nothing(self) -> None:
        """Whoever is on no list, and has no return path of ours, is not spoken of."""
        assert of() == []

    def test_not_sent(self) -> None:
        """That is the end of it, with the line that decides."""
        [step] = of(entry=ENTRY)
        assert step.refused
        assert step.what.startswith("550 5.7.1 Not sent: <x@far.example> is on the suppression")
        assert step.rule == Rule("suppression", "action")

    def test_held(self) -> None:
        """With hold, it would be accepted."""
        [step] = of(Terms(action=Action.HOLD), entry=ENTRY)
        assert step.what.startswith("accepted and held: on the suppression list of hub.example")

    @pytest.mark.parametrize("terms", [Terms(action=Action.OFF), Terms(classes=("other",))])
    def test_sent_all_the_same(self, terms: Terms) -> None:
        """An entry that does not count is told, and does not stop it."""
        [step] = of(terms, entry=ENTRY)
        assert not step.refused
        assert "sent all the same" in step.what

    def test_excepted(self) -> None:
        """Strangers' mail, notices, and mail to a postmaster are nobody's list's business."""
        assert of(entry=ENTRY, client=STRANGER) == []
        assert of(entry=ENTRY, sender=NULL) == []
        assert of(entry=ENTRY, path=Path("postmaster", "far.example")) == []


def returned(
    returns: str = "bulk",
    *,
    domain: str = "",
    routes: tuple[Route, ...] = (),
    sender: Path = ANN,
    client: Client = ALICE,
    provider: Provider | None = None,
) -> list[Step]:
    terms = Terms(returns=(returns,), return_domain=domain)
    settings = replace(SETTINGS, suppression=Suppression(terms), routes=routes)
    world = world_of(settings, None)

    async def collected() -> list[Step]:
        found = returning(Letter(sender, (FAR,)), client, FAR, "bulk", world, provider)
        return [step async for step in found]

    return run(collected())


class TestReturnPaths:
    def test_ours(self) -> None:
        """It is told where they are."""
        [step] = returned()
        assert step.what == "return path: bounce+...@hub.example, signed"
        assert step.rule == Rule("suppression", "return paths")
        [step] = returned(domain="b.example")
        assert step.what == "return path: bounce+...@b.example, signed"

    def test_none(self) -> None:
        """Other classes, notices, and what strangers send are not spoken of."""
        assert returned("other") == returned(sender=NULL) == returned(client=STRANGER) == []

    def test_not_hosted(self) -> None:
        """Or why there is none."""
        [step] = returned(sender=Path("x", "elsewhere.example"))
        assert "elsewhere.example is not hosted here" in step.what

    def test_smarthosts(self) -> None:
        """Through a smarthost only where its route says so."""
        hop = Smarthost("relay", "smtp.example")
        for returns, what in ((None, "as it is"), (True, "signed")):
            [step] = returned(routes=(Route("relay", hop, returns=returns),))
            assert what in step.what

    def test_detours(self) -> None:
        """Nor where the provider's mail may take a detour through such a smarthost."""
        hop, far = Smarthost("relay", "smtp.example"), Provider("far", detour="relay")
        for returns, what in ((None, "as it is, for the detour relay"), (True, "signed")):
            [step] = returned(
                routes=(Route("relay", hop, spare=True, returns=returns),), provider=far
            )
            assert what in step.what


def test_among_the_others() -> None:
    """It stands before the way out, which is not told of what is not sent."""
    stages = [step.stage for step in steps(FAR)]
    assert "list" not in stages
    assert "route" in stages
