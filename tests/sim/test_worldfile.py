"""World files, shipped and one's own."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mailhub.config.key import Section
from mailhub.config.load import ConfigError
from mailhub.sim.campaign import SECTIONS as CAMPAIGN
from mailhub.sim.campaign import Stream
from mailhub.sim.manners import Certificate, Manners, Outage, Rate, Window
from mailhub.sim.worldfile import SECTIONS, SHIPPED, Surface, load, model_of, parsed

SMALL = """
[world]
about = Small.
latency = 10ms
[provider Far]
domains = far.example, *.far.example
weight = 2
rate = 600/h
outages = +1h for 30m
outage = refused
tls = wrong name
[provider Rest]
domains = *
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_worlds(name: str) -> None:
    """What is shipped can be read, says what it is for, and where each limit is from."""
    atlas = load(name)
    assert atlas.surface.about
    assert all(manners.source for manners in atlas.providers)
    assert sum(manners.weight for manners in atlas.providers) > 0


def test_large_providers() -> None:
    """The providers' world knows whose mail is whose, and limits everybody."""
    atlas = load("providers")
    for domain, name in (("gmail.com", "Gmail"), ("web.de", "GMX"), ("nobody.example", "Others")):
        manners = atlas.provider(domain)
        assert manners is not None
        assert manners.name == name
    assert sum(bool(manners.rate) for manners in atlas.providers) >= 7


def test_a_small_one(tmp_path: Path) -> None:
    """What a file says is what a provider does."""
    (tmp_path / "small.ini").write_text(SMALL)
    atlas = load(str(tmp_path / "small.ini"))
    assert atlas.surface == Surface("Small.", 0.01)
    assert atlas.providers[0] == Manners(
        "Far",
        ("far.example", "*.far.example"),
        weight=2,
        rate=Rate(600, 3600.0),
        outages=(Window(3600, 1800),),
        outage=Outage.REFUSED,
        tls=Certificate.WRONG_NAME,
    )
    names = [atlas.provider(it) for it in ("far.example", "a.far.example", "farm.example")]
    assert [it.name for it in names if it is not None] == ["Far", "Far", "Rest"]


def test_all_mistakes_at_once() -> None:
    """A world that cannot be meant tells everything that is wrong with it."""
    text = """[world]
about = x
[provider A]
rate = fast
domains = a.example
exchanges = mx.a.example
[provider B]
domains = a.example
exchanges = mx.a.example
dns fails = +1h for 1h
model = nowhere:Nothing
[provider C]
tsl = good
"""
    with pytest.raises(ConfigError) as caught:
        parsed("my.ini", text)
    assert str(caught.value).splitlines() == [
        "my.ini: [provider A] rate, line 4: expected a rate such as 600/h, or 0 for any, not fast",
        "my.ini: [provider B] domains, line 8: a.example is A's already",
        "my.ini: [provider B] exchanges, line 9: mx.a.example is A's already",
        "my.ini: [provider B] dns fails, line 10: without dns, nothing fails",
        "my.ini: [provider B] model, line 11: cannot be imported: No module named 'nowhere'",
        "my.ini: [provider C] domains, line 12: missing: whose mail does it take?",
        'my.ini: [provider C] tsl, line 13: no such key; did you mean "tls"?',
    ]


def test_nobody() -> None:
    """A world without providers is a mistake."""
    with pytest.raises(ConfigError, match="nobody would take"):
        parsed("x", "[world]\nabout = empty\n")


def sample(sections: Sequence[Section], defaults: Mapping[str, object]) -> str:
    """A file that has every key at its default."""
    lines = []
    for section in sections:
        lines.append(f"[{section.name.replace('NAME', 'x')}]")
        for key in section.keys:
            value = getattr(defaults[section.name], key.target)
            lines.append(f"{key.name} = {key.kind.show(value)}".rstrip())
    return "\n".join(lines)


def test_every_key_fills_something() -> None:
    """Each key's default can be shown: it belongs to an attribute."""
    text = sample(SECTIONS, {"world": Surface(), "provider NAME": Manners("x", ("*",))})
    assert "reply to rate = 451 4.7.1 Too much mail from you for now\n" in text
    assert parsed("sample", text).providers == (Manners("x", ("*",)),)


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class is named by its module, which may lie beside the world file."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "moody_provider.py").write_text(
        "from mailhub.sim.receiver import Receiver\nclass Moody(Receiver):\n    pass\n"
    )
    (tmp_path / "w.ini").write_text("[provider A]\ndomains = *\nmodel = moody_provider:Moody\n")
    assert load(str(tmp_path / "w.ini")).providers[0].model == "moody_provider:Moody"
    assert model_of("mailhub.sim.receiver:Receiver").__name__ == "Receiver"
    with pytest.raises(ValueError, match="expected"):
        model_of("mailhub.sim.receiver")


def test_the_documentation() -> None:
    """docs/worlds.md has every key of a world file and of a campaign file, with its default."""
    text = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text()
    rows = dict(re.findall(r"(?m)^\| `([^`]+)` \| `?([^|`]*)`? \|", text))
    wanted = {
        key.name: key.kind.show(getattr(default, key.target))
        for section, default in ((SECTIONS[1], Manners("x")), (CAMPAIGN[0], Stream("x")))
        for key in section.keys
        if key.target != "path"
    }
    assert {name: rows.get(name, "?").strip() for name in wanted} == wanted
