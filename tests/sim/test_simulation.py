"""Simulations: the same in, the same out; and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.config.load import parse
from mailhub.config.settings import Settings
from mailhub.mail.envelope import Envelope
from mailhub.policy.route import Hop
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome
from mailhub.relay.remote import Remote
from mailhub.sim.campaign import Campaign, parsed
from mailhub.sim.manners import Why
from mailhub.sim.result import Result, concluded
from mailhub.sim.simulation import COLLECTOR, Plan, Run, failures, simulate
from mailhub.sim.worldfile import Atlas, load
from mailhub.sim.worldfile import parsed as parsed_world


def settings(text: str = "") -> Settings:
    found, mistakes = parse(f"[hub]\nhostname = mx.sender.example\nstate = /nowhere\n{text}")
    assert mistakes == []
    return found


def world(text: str) -> Atlas:
    return parsed_world("test", text)


CALM = world("[provider Far]\ndomains = *\nweight = 1\n")


def run(
    atlas: Atlas = CALM, mail: str = "recipients = 50\n", seed: str = "7", config: str = ""
) -> Run:
    campaign = parsed("test", f"[mail x]\nfrom = news@sender.example\nsize = 1K\n{mail}")
    return simulate(Plan(settings(config), atlas, campaign, seed))


def everything(run: Run) -> tuple[int, ...]:
    """Recipients handed in, delivered, bounced, waiting, duplicates, over all providers."""
    accounts = run.ledger.accounts
    return tuple(
        sum(getattr(account, name) for account in accounts)
        for name in ("handed_in", "delivered", "bounced", "waiting", "duplicates")
    )


def test_a_campaign() -> None:
    """A campaign in a world without troubles is over in a moment."""
    done = run()
    assert everything(done) == (50, 50, 0, 0, 0)
    assert done.ended < 10
    assert done.errors == []
    assert done.reputation["Far"] == 100.0


SCRIPT = """
from tests.sim.test_simulation import load, run
for world in ("calm", "hostile"):
    print(run(load(world), "recipients = 25\\n").digest)
"""


def elsewhere(**environment: str) -> list[str]:
    """Digests of two worlds, in a process of their own."""
    command = [sys.executable, "-c", SCRIPT]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=root, env=os.environ | environment
    )
    return done.stdout.split()


def test_on_any_machine(tmp_path: Path) -> None:
    """The same seed and files give the same digests whatever the process is like.

    Hashes of strings, the time zone, the temporary directory and the process's id are others.
    What the digests of the world itself are is held by `test_digests`.
    """
    here = elsewhere(PYTHONHASHSEED="1", TZ="UTC")
    there = elsewhere(PYTHONHASHSEED="2", TZ="Asia/Tokyo", TMPDIR=str(tmp_path))
    assert len(set(here)) == 2
    assert here == there


def test_another_seed() -> None:
    """Another seed gives another digest."""
    assert run(seed="1").digest == run(seed="1").digest != run(seed="2").digest


@pytest.mark.parametrize("together", [1, 4])
def test_answers_out_of_order(together: int) -> None:
    """A provider that loses its way among several commands gets one at a time, and all its mail."""
    disordered = world("[provider Far]\ndomains = *\nweight = 1\npipelining = out of order\n")
    done = run(disordered, f"recipients = 80\nrecipients per message = {together}\n")
    assert everything(done) == (80, 80, 0, 0, 0)
    (far,) = (it for it in done.ledger.accounts if it.delivered)
    faults = sum(slot.refused[Why.FAULTS] for slot in far.slots.values())
    assert 0 < faults <= 20, "connections that were under way when that was learnt, and no more"
    assert done.errors == []


@pytest.mark.parametrize("seed", ["1", "2"])
def test_nothing_is_lost(seed: str) -> None:
    """In the worst of worlds every recipient is delivered, bounced or still waits."""
    done = run(load("hostile"), "recipients = 60\nconnections = 3\n", seed)
    handed_in, delivered, bounced, waiting, duplicates = everything(done)
    assert handed_in == 60
    assert delivered + bounced + waiting == 60
    assert waiting == 0, "each has met its fate within the life of a message"
    in_doubt = sum(account.in_doubt for account in done.ledger.accounts)
    assert duplicates <= in_doubt
    assert done.errors == []


def test_unknown_users_bounce() -> None:
    """Who does not exist is told to the sender, who counts it."""
    done = run(world("[provider Far]\ndomains = *\nweight = 1\nunknown users = 50%\n"))
    _, delivered, bounced, waiting, _ = everything(done)
    assert bounced > 10
    assert (delivered + bounced, waiting) == (50, 0)
    assert done.ledger.accounts[0].deferrals[Why.UNKNOWN] == bounced


def test_a_rate_takes_its_time() -> None:
    """A hub that is too fast for its provider takes hours."""
    slow = world("[provider Far]\ndomains = *\nweight = 1\nrate = 20/h\n")
    done = run(slow, "recipients = 60\n")
    assert everything(done)[1] == 60
    assert done.ended > 2 * 3600
    assert done.ledger.accounts[0].deferrals[Why.RATE] > 0


def test_the_rate_of_handing_in() -> None:
    """An application hands its mail in at its own pace, and begins when it is to."""
    done = run(mail="recipients = 60\nrate = 1/s\nstart = 10m\n")
    assert 600 + 58 < done.ended < 600 + 65
    assert done.ledger.accounts[0].first == pytest.approx(600, abs=1)


def test_connections_that_the_hub_closes() -> None:
    """An application whose connection is closed after a while calls again."""
    mail = "recipients = 12\nrate = 1/h\nconnections = 1\n"
    done = run(mail=mail, config="[smtp]\nsession = 2h\n")
    assert everything(done) == (12, 12, 0, 0, 0)


def test_several_recipients_in_one_message() -> None:
    """A message for many is taken apart by their providers."""
    atlas = world(
        "[provider A]\ndomains = a.example\nweight = 1\n"
        "[provider B]\ndomains = b.example\nweight = 1\n"
    )
    done = run(atlas, "recipients = 100\nrecipients per message = 20\n")
    assert everything(done) == (100, 100, 0, 0, 0)
    assert all(account.delivered > 30 for account in done.ledger.accounts[:2])


def test_a_smarthost() -> None:
    """Where the configuration relays through a host, that host gets it, over TLS as asked."""
    route = "[route out]\nrecipients = *\nhost = smtp.relay.example\n"
    done = run(config=route)
    accounts = {account.name: account.delivered for account in done.ledger.accounts}
    assert accounts == {"Far": 0, "smarthost smtp.relay.example": 50, COLLECTOR: 0}


def test_until() -> None:
    """A simulation ends when it is told to, whatever waits."""
    slow = world("[provider Far]\ndomains = *\nweight = 1\nrate = 10/h\n")
    campaign = parsed("test", "[mail x]\nrecipients = 60\nsize = 1K\n")
    plan = Plan(settings(), slow, campaign, until=1800.0)
    done = simulate(plan)
    assert done.ended == 1800.0
    assert done.queued == 50
    assert replace(plan, until=0.0).limit > 5 * 86400


def test_progress() -> None:
    """How far things are is told now and then."""
    told: list[int] = []
    campaign = parsed("test", "[mail x]\nrecipients = 300\nsize = 1K\n")
    simulate(Plan(settings(), CALM, campaign), lambda ledger, age: told.append(ledger.settled))
    assert len(told) > 1
    assert told == sorted(told)


def test_reading_reports() -> None:
    """Only recipients that have failed count, whoever wrote the report."""
    report = (
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        b"Final-Recipient: rfc822; a@b\r\nAction: failed\r\n\r\n"
        b"Final-Recipient: rfc822; c@d\r\nAction: delayed\r\n\r\n"
        b"Action: FAILED\r\nFinal-Recipient: utf-8; E@f\r\n\r\n"
    )
    assert list(failures(report)) == ["a@b", "e@f"]
    assert list(failures(b"Subject: x\r\n\r\n")) == []


STRICT = """
[provider Good]
domains = good.example
weight = 1
signed = yes
tls = good
dane = good
mta-sts = enforce
[provider Pinned]
domains = pinned.example
weight = 1
signed = yes
tls = good
dane = wrong
[provider Strict]
domains = strict.example
weight = 1
tls = good
mta-sts = wrong
"""


def test_promises_of_tls_are_kept() -> None:
    """Mail does not go where DANE or MTA-STS say that it must not."""
    campaign = parsed("test", "[mail x]\nrecipients = 30\nsize = 1K\n")
    plan = Plan(settings("[dns]\ntrusted = yes\n"), world(STRICT), campaign, until=3600.0)
    delivered = {it.name: it.delivered for it in simulate(plan).ledger.accounts}
    assert delivered["Good"] > 0
    assert delivered["Pinned"] == delivered["Strict"] == 0


DOMAINS = """
[provider Big]
domains = *.big.example
exchanges = mx.big.example
connections = 5
[provider Dead]
domains = *.dead.example
exchanges = mx.dead.example
outages = +0s for 8h
outage = silent
[provider Others]
domains = *
"""


def run_many(directory: Path, dead: int = 0) -> tuple[Run, list[Outcome]]:
    mails = "[mail others]\nrecipients = 30\nstart = 2s\nrate = 5/s\ndomains = o.example 1\n"
    for name, size in {"big": 100, "dead": dead}.items():
        addresses = directory / name
        addresses.write_text("".join(f"u@d{n}.{name}.example\n" for n in range(size)))
        mails += f"[mail {name}]\nlist = {addresses}\nsize = 1K\n" if size else ""
    config = "[relay]\nknown providers = no\n[provider big]\n"
    config += "mx = mx.big.example\nconnections = 5\n"
    outcomes: list[Outcome] = []
    deliver = Remote.deliver

    async def noted(self: Remote, hop: Hop, envelope: Envelope, content: Content) -> Outcome:
        outcome = await deliver(self, hop, envelope, content)
        outcomes.append(outcome)
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Remote, "deliver", noted)
        plan = Plan(settings(config), world(DOMAINS), parsed("test", mails), until=60.0)
        return simulate(plan), outcomes


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Outcome]]:
    return run_many(tmp_path_factory.mktemp("alone"))


class TestManyDomains:
    """A campaign to very many domains that few hosts run."""

    def test_one_attempt_each(self, alone: tuple[Run, list[Outcome]]) -> None:
        """Every message is attempted once: nobody is sent away to come again."""
        done, outcomes = alone
        assert len(outcomes) == 130
        assert not any(it.put_off for it in outcomes)
        [big] = [it for it in concluded(done).providers if it.name == "Big"]
        assert big.delivered == 100
        assert max(big.connections) <= 5
        new = [it for out in outcomes for it in out.attempts if not it.reused]
        assert sum(it.provider == "big" for it in new) <= 6, "connections serve all domains"

    def test_dead_beside_them(self, alone: tuple[Run, list[Outcome]], tmp_path: Path) -> None:
        """Mail for very many domains of a dead provider delays nobody else's."""
        beside, _ = run_many(tmp_path, dead=100)
        for name in ("Big", "Others"):
            before, after = (
                next(it for it in concluded(run).providers if it.name == name)
                for run in (alone[0], beside)
            )
            assert after.delivered == after.recipients == before.delivered
            assert before.all is not None
            assert after.all is not None
            assert after.all <= before.all + 5.0


class TestSuppression:
    """A campaign fills the suppression list, and the next one is not sent to whoever is on it."""

    CONFIG = "[hub]\nhostname = mx.shop.example\nstate = /no\n[suppression]\nreturn paths = bulk\n"
    WORLD = """
[world]
about = Some exist, some do not, some find out later, and some complain.
[provider Plain]
domains = plain.example
[provider Late]
domains = late.example
bounces later = 30%
bounce delay = 2h
[provider Angry]
domains = angry.example
complaints = 25%
complaint delay = 3h
feedback = yes
[provider Gone]
domains = gone.example
unknown users = 40%
"""

    def campaign(self, tmp_path: Path, fields: str) -> Campaign:
        """Two, to the same addresses, a day apart."""
        names = ("plain", "late", "angry", "gone")
        listed = tmp_path / "addresses"
        listed.write_text("".join(f"a{n}@{names[n % 4]}.example\n" for n in range(160)))
        streams = "".join(
            f"[mail {name}]\nfrom = {name}@shop.example\nlist = {listed}\nsize = 1K\n"
            f"start = {start}\n{fields}"
            for name, start in (("first", "0"), ("second", "1d"))
        )
        return parsed("two", streams)

    def run(self, tmp_path: Path, fields: str) -> Result:
        settings, mistakes = parse(self.CONFIG)
        assert mistakes == []
        world = parsed_world("test", self.WORLD)
        return concluded(simulate(Plan(settings, world, self.campaign(tmp_path, fields), "3")))

    def test_newsletters(self, tmp_path: Path) -> None:
        """Nobody is written to again who did not exist, bounced later or complained."""
        result = self.run(tmp_path, "fields = List-Unsubscribe: <https://shop.example/u>\n")
        found = {it.name: it for it in result.providers}
        assert found["Plain"].delivered == 80
        late, angry, gone = found["Late"], found["Angry"], found["Gone"]
        assert late.returned > 5
        assert angry.complaints > 5
        assert late.suppressed == late.returned, "each of them once, and not again"
        assert angry.suppressed == angry.complaints
        assert gone.suppressed == gone.bounced - gone.suppressed > 5
        assert result.suppressed == late.suppressed + angry.suppressed + gone.suppressed
        assert "of them are on a suppression list" in result.answer
        assert result.errors == ()
        assert result.waiting == 0

    def test_letters(self, tmp_path: Path) -> None:
        """What is no bulk mail goes to everybody, as ever."""
        result = self.run(tmp_path, "")
        assert result.suppressed == 0
        found = {it.name: it for it in result.providers}
        assert found["Late"].delivered == found["Angry"].delivered == 80
