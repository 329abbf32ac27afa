"""Providers and sources: what is known, what an operator changes, and what cannot be meant."""

from __future__ import annotations

import re

from mailhub.config import ini
from mailhub.config.keys_provider import PROVIDER
from mailhub.config.load import parse
from mailhub.config.provider import known, known_text
from mailhub.config.settings import Settings
from mailhub.policy.limits import Family
from mailhub.policy.provider import Provider, Providers, Source, duplicates
from mailhub.policy.route import TlsDemand
from mailhub.ports.resolver import Mx

HEAD = "[hub]\nhostname = hub.example\n"


def loaded(text: str) -> Settings:
    settings, mistakes = parse(HEAD + text)
    assert mistakes == []
    return settings


class TestKnown:
    def test_file(self) -> None:
        """What is shipped has no mistakes; each provider has its own hosts, and limits."""
        read = ini.read(known_text())
        assert read.mistakes == []
        assert all(PROVIDER.find(entry.key) for entry in read.entries)
        assert duplicates(known()) == {}
        assert all(provider.mx and provider.connections for provider in known())

    def test_sources(self) -> None:
        """Each figure is said to come from somewhere, or to be a guess."""
        for section in re.split(r"\n\n(?=#)", known_text())[1:]:
            if "[provider" in section:
                assert "https://" in section or "onservative" in section, section

    def test_hosts(self) -> None:
        """The exchanges that they really have are theirs."""
        providers = Providers(known())
        for host, name in {
            "gmail-smtp-in.l.google.com": "google",
            "alt1.aspmx.l.google.com": "google",
            "outlook-com.olc.protection.outlook.com": "outlook",
            "contoso-com.mail.protection.outlook.com": "office365",
            "contoso-com.v-v1.mx.microsoft": "office365",
            "mta5.am0.yahoodns.net": "yahoo",
            "mx01.mail.icloud.com": "apple",
            "mx00.emig.gmx.net": "gmx",
            "mx-ha02.web.de": "gmx",
            "mx1.comcast.net": "comcast",
            "smtp-in.orange.fr": "orange",
            "eu-smtp-inbound-1.mimecast.com": "mimecast",
            "mxa-00123456.gslb.pphosted.com": "proofpoint",
        }.items():
            assert providers.of([Mx(10, host)]).name == name


class TestSections:
    def test_override(self) -> None:
        """A section of a known name changes the keys that it gives, and no others."""
        settings = loaded("[provider yahoo]\nconnections = 2\n")
        before = Providers(known()).named("yahoo")
        after = Providers(settings.providers).named("yahoo")
        assert before is not None
        assert after is not None
        assert (after.connections, after.messages, after.mx) == (2, 20, before.mx)

    def test_new(self) -> None:
        """Every key reaches its value."""
        settings = loaded(
            "[provider mine]\nmx = mx.a.example, *.b.example\nconnections = 1\n"
            "messages per connection = 2\nrecipients per message = 3\nmessages per minute = 4\n"
            "messages per hour = 5\nmessages per day = 6\ntls = verified\n"
            "address family = ipv4-first\nipv6 needs name = yes\nsources = one\ndetour = out\n"
            "detour for = 7h\nprobe after = 8m\n"
            "[source one]\nipv4 = 192.0.2.1\nipv6 = 2001:db8::1\nhelo = one.example\n"
            "[route out]\nhost = smtp.example\nspare = yes\n"
        )
        assert Providers(settings.providers).named("mine") == Provider(
            "mine",
            ("mx.a.example", "*.b.example"),
            *(1, 2, 3, 4, 5, 6),
            TlsDemand.VERIFIED,
            Family.IPV4_FIRST,
            named=True,
            sources=("one",),
            detour="out",
            detour_for=25200.0,
            probe=480.0,
        )
        assert settings.sources == (Source("one", "192.0.2.1", "2001:db8::1", "one.example"),)
        [route] = settings.routes
        assert route.spare

    def test_schedule(self) -> None:
        """A provider may have a schedule of its own, also one that is known already."""
        settings = loaded("[provider google]\ndelays = 2h\n[provider x]\nmx = x.example\n")
        google = Providers(settings.providers).named("google")
        assert google is not None
        assert google.connections == 10
        assert settings.schedules().find("normal", "", "google").delays == (7200.0,)
        assert settings.schedules().find("normal", "", "x") == settings.schedule

    def test_without(self) -> None:
        """One that is known, or all of them, can be done without."""
        names = {it.name for it in loaded("[provider google]\nmx =\n").providers}
        assert "google" not in names
        assert "yahoo" in names
        own = loaded("[relay]\nknown providers = no\n[provider a]\nmx = a.example\n").providers
        assert [it.name for it in own] == ["a"]
