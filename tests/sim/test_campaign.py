"""Campaigns: who gets what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mailhub.config.load import ConfigError
from mailhub.sim.campaign import Addresses, Campaign, Posting, Stream, content, load, parsed
from mailhub.sim.manners import Rate
from mailhub.sim.worldfile import load as load_world
from mailhub.sim.worldfile import parsed as parsed_world

WORLD = parsed_world(
    "w",
    "[provider A]\ndomains = a.example, aa.example\nweight = 3\n"
    "[provider B]\ndomains = *.b.example\nweight = 1\n[provider C]\ndomains = *\n",
)
TEXT = """
[mail one]
from = one@sender.example
recipients = 1K
recipients per message = 3
size = 2K
rate = 60/m
start = 1h
[mail two]
recipients = 500
domains = x.org 1, y.org 1
"""


def test_a_campaign() -> None:
    """Streams are what the file says, and their recipients are counted through."""
    campaign = parsed("c", TEXT)
    one, _ = campaign.streams
    assert (one.count, one.together, one.size, one.rate, one.start) == (
        *(1000, 3, 2048, Rate(60, 60.0), 3600.0),
    )
    assert (campaign.bases, campaign.total) == ((0, 1000, 1500), 1500)


def test_weights() -> None:
    """Recipients are spread by the world's weights, or by those given; always the same ones."""
    campaign = parsed("c", TEXT)
    addresses = Addresses(campaign, WORLD, "7")
    domains = Counter(addresses.address(number).partition("@")[2] for number in range(1000))
    assert domains["a.example"] + domains["aa.example"] == pytest.approx(750, abs=50)
    assert sum(domains[it] for it in domains if it.endswith(".b.example")) > 200
    others = Counter(addresses.address(number).partition("@")[2] for number in range(1000, 1500))
    assert set(others) == {"x.org", "y.org"}
    again = Addresses(campaign, WORLD, "7")
    assert [again.address(it) for it in range(50)] == [addresses.address(it) for it in range(50)]
    other = Addresses(campaign, WORLD, "8")
    assert [other.address(it) for it in range(50)] != [again.address(it) for it in range(50)]


def test_numbers() -> None:
    """A recipient's number is read off the address; others have none."""
    addresses = Addresses(parsed("c", TEXT), WORLD, "7")
    for number in (0, 17, 1499):
        assert addresses.number("x@y", addresses.address(number)) == number
    for other in ("ann@a.example", "u@a.example", "u1500@a.example", "ux@a.example"):
        assert addresses.number("x@y", other) is None


def test_postings() -> None:
    """Each message is for so many, the last for the rest."""
    addresses = Addresses(parsed("c", TEXT), WORLD, "7")
    found = list(addresses.postings(0))
    assert len(found) == 334
    assert [len(posting.recipients) for posting in found[-2:]] == [3, 1]
    assert found[1].first == 3
    assert next(addresses.postings(1)).first == 1000


def test_a_list(tmp_path: Path) -> None:
    """Addresses may come from a file: one a line, or a table with a head."""
    (tmp_path / "list.csv").write_text(
        'email,name\nann@a.example,Ann\n"bob@b.example",Bob\n\n# nobody\nann@a.example,again\n'
    )
    text = f"[mail x]\nfrom = s@t.example\nlist = {tmp_path}/list.csv\n"
    campaign = parsed("c", text + "[mail y]\nrecipients = 5\n")
    assert campaign.streams[0].listed == ("ann@a.example", "bob@b.example")
    assert campaign.bases == (0, 2, 7)
    addresses = Addresses(campaign, WORLD, "7")
    assert addresses.address(1) == "bob@b.example"
    assert addresses.number("s@t.example", "bob@b.example") == 1
    assert addresses.number("s@t.example", addresses.address(3)) == 3
    assert next(addresses.postings(0)) == Posting(0, ("ann@a.example",))


def test_mistakes(tmp_path: Path) -> None:
    """All mistakes at once."""
    (tmp_path / "bad.txt").write_text("ann@a.example\nnobody\n")
    text = f"""[mail a]
recipients = some
list = {tmp_path}/none
[mail b]
list = {tmp_path}/bad.txt
domains = a.example
connections = 500
[mail]
size = 1
"""
    with pytest.raises(ConfigError) as caught:
        parsed("c.ini", text)
    assert [line.partition(", line ")[2][:60] for line in str(caught.value).splitlines()] == [
        "2: expected a number such as 500, 20K or 1M, from 1 up, not ",
        f"3: {tmp_path}/none: No such file or directory"[:60],
        f"5: {tmp_path}/bad.txt: line 2 is no address: nobody"[:60],
        "6: expected domains with their weights such as gmail.com 60,",
        "7: expected a number, from 1 up, 1 to 90, not 500",
        "8: no such section; did you mean [mail NAME]?",
    ]
    with pytest.raises(ConfigError, match="nothing would be sent"):
        parsed("c.ini", "# empty\n")


def test_content() -> None:
    """A message has about the size it is to have, CR LF line ends, and no dots to stuff."""
    for size in (512, 2048, 100_000):
        stream = Stream("x", size=size)
        octets = content(stream, Posting(3, ("ann@a.example",)), 1_772_431_200.0)
        assert size - 130 < len(octets) <= size
        assert octets.count(b"\n") == octets.count(b"\r\n")
        assert octets.endswith(b"\r\n")
        assert b"\n." not in octets
        assert max(map(len, octets.split(b"\r\n"))) <= 200


def test_fields() -> None:
    """Further fields stand in the header: it may be bulk mail that is sent."""
    text = "[mail x]\nfields =\n    List-Id: <news>\n    Precedence: bulk\n"
    [stream] = parsed("c", text).streams
    octets = content(stream, Posting(0, ("u0@far.example",)), 0.0)
    head, _, body = octets.partition(b"\r\n\r\n")
    assert head.endswith(b"\r\nList-Id: <news>\r\nPrecedence: bulk")
    assert body


def test_what_is_shipped(tmp_path: Path) -> None:
    """The sample can be read, and one's own file."""
    sample = load(None)
    assert sample.total > 10_000
    assert Addresses(sample, load_world("providers"), "1").address(0).startswith("u0@")
    (tmp_path / "c.ini").write_text("[mail x]\n")
    assert load(str(tmp_path / "c.ini")) == Campaign(str(tmp_path / "c.ini"), (Stream("x"),))
