"""How a message would leave, where that is not told by tests of the whole explanation."""

from __future__ import annotations

from dataclasses import replace

from mailhub.config.load import parse
from mailhub.mail.address import NULL, Path
from mailhub.policy.limits import Family
from mailhub.policy.rule import Rule
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.queue.assurances import Kept
from mailhub.relay.outlook import outlook
from mailhub.relay.step import UNKNOWN, Letter, Step
from tests.relay.test_explain import ALICE, SETTINGS, world_of
from tests.relay.test_scout import NOW, Memory, Signed, Web, make_scout
from tests.rig import run

FAR = Path("x", "far.example")
STRICT = b"version: STSv1\nmode: enforce\nmx: mx.far.example\nmax_age: 864000\n"


def steps(
    letter: Letter, path: Path = FAR, memory: Memory | None = None, settings: object = SETTINGS
) -> list[Step]:
    scout = make_scout(memory, Web(STRICT))
    world = world_of(settings, Signed(b"1"), scout)  # type: ignore[arg-type]

    async def collected() -> list[Step]:
        return [step async for step in outlook(letter, ALICE, path, "normal", world)]

    return run(collected())


def tls(found: list[Step]) -> list[str]:
    return [step.what for step in found if step.stage == "TLS"]


def test_a_policy() -> None:
    """Each host is told with what will be demanded of it."""
    found = tls(steps(Letter(NULL, (FAR,))))
    assert "MTA-STS: permits mx.far.example" in found
    assert "mx.far.example: verified, as MTA-STS demands" in found
    assert any(it.startswith("mx2.far.example: is not used") for it in found)


def test_a_message_that_waives_it() -> None:
    """TLS-Required: No makes the domain's demands nothing; REQUIRETLS wins over it."""
    letter = Letter(Path("a", "b.example"), (FAR,), b"TLS-Required: no\r\n\r\n")
    found = steps(letter)
    assert tls(found)[1:] == [
        "TLS: what its recipients' domains demand does not count, as it says TLS-Required: No",
        "mx.far.example: opportunistic, as the configuration demands",
        "mx2.far.example: opportunistic, as the configuration demands",
    ]
    assert not any("_mta-sts" in step.what for step in found)
    strict = tls(steps(replace(letter, require_tls=True)))
    assert "mx.far.example: verified, as MTA-STS demands" in strict


def test_backed_up_domains() -> None:
    """Mail for them goes to better exchanges, on the schedule of the backup."""
    settings, mistakes = parse(
        "[hub]\nhostname = hub.example\n[backup friend]\ndomains = far.example\nlifetime = 14d\n"
    )
    assert mistakes == []
    found = steps(Letter(NULL, (FAR,)), settings=settings)
    assert found[0].rule == Rule("backup friend", "domains")
    assert found[-1].what == "given up after 14 days"
    assert found[-1].rule == Rule("backup friend", "lifetime")


def test_a_provider_of_its_own_family() -> None:
    """The line that restricts addresses is the provider's where it has one."""
    provider = replace(SETTINGS.providers[0], family=Family.IPV6)
    settings = replace(SETTINGS, providers=(provider,))
    [step] = [
        it for it in steps(Letter(NULL, (FAR,)), settings=settings) if "addresses:" in it.what
    ]
    assert step.rule == Rule("provider far", "address family")


def test_what_nobody_knows() -> None:
    """Of a provider that nothing was sent to the next slot is now."""
    world = replace(world_of(SETTINGS, Signed()), standing=lambda name: ())

    async def collected() -> list[str]:
        found = outlook(Letter(NULL, (FAR,)), ALICE, FAR, "normal", world)
        return [step.what async for step in found if step.stage == "slot"]

    assert run(collected()) == list(UNKNOWN)


def test_offline() -> None:
    """Without the DNS what is kept is told."""
    kept = Kept("1", StsPolicy(Mode.ENFORCE, ("mx.far.example",), 864_000), NOW)
    world = world_of(SETTINGS, None, make_scout(Memory(kept)))

    async def collected() -> list[Step]:
        return [step async for step in outlook(Letter(NULL, (FAR,)), ALICE, FAR, "normal", world)]

    assert "MTA-STS: permits mx.far.example" in tls(run(collected()))
