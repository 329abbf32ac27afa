"""What is told of suppression lists and return paths, before anything is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.policy.route import Route, Smarthost
from mailhub.policy.rule import Rule
from mailhub.policy.suppression import Action, Entry, Reason, Suppression, Terms
from mailhub.ports.conversation import Client
from mailhub.relay.step import Letter, Step
from mailhub.relay.unwanted import unwanted
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
    routes: tuple[Route, ...] = (),
    path: Path = FAR,
) -> list[Step]:
    suppression = Suppression(terms or Terms())
    settings = replace(SETTINGS, suppression=suppression, routes=routes)
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


class TestReturnPaths:
    def test_ours(self) -> None:
        """It is told where they are."""
        [step] = of(Terms(returns=("bulk",)))
        assert step.what == "return path: bounce+...@hub.example, signed"
        [step] = of(Terms(returns=("bulk",), return_domain="b.example"))
        assert step.what == "return path: bounce+...@b.example, signed"

    def test_not_hosted(self) -> None:
        """Or why there is none."""
        [step] = of(Terms(returns=("bulk",)), sender=Path("x", "elsewhere.example"))
        assert "elsewhere.example is not hosted here" in step.what

    def test_smarthosts(self) -> None:
        """Through a smarthost only where its route says so."""
        hop = Smarthost("relay", "smtp.example")
        for returns, what in ((None, "as it is"), (True, "signed")):
            [step] = of(Terms(returns=("bulk",)), routes=(Route("relay", hop, returns=returns),))
            assert what in step.what


def test_among_the_others() -> None:
    """It stands before the way out, which is not told of what is not sent."""
    stages = [step.stage for step in steps(FAR)]
    assert "list" not in stages
    assert "route" in stages
