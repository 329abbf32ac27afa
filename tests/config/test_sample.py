"""The sample file is the documentation: complete, true, and printed from the table of keys."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from mailhub.config.ini import read
from mailhub.config.load import filled, parse
from mailhub.config.sample import EXAMPLES, WIDTH, sample
from mailhub.config.schema import NAMED, SECTIONS
from mailhub.config.settings import Settings

SAMPLE = Path(__file__).parents[2] / "etc" / "mailhub.ini"

UNCONFIGURED = {
    "routes": "is made of the [route] sections",
    "allowances": "is made of the [limit] sections",
    "access.backups": "is made of the [backup] sections",
    "smtp.hold": "is for submission",
    "suppression.sendings": "is made of the [sending] sections",
    "classes": "is made of the [class] sections",
    "schedule.sections": "says where the others stand",
    "words": "is made of files",
    "origins": "is made of the file itself",
    "journey.waiting": "an inner measure",
    "providers": "is made of the [provider] sections",
    "sources": "is made of the [source] sections",
    "replies": "is made of the file of replies",
    "intake.piece": "an inner measure",
    "local.batch": "an inner measure",
    "relay.protection.failures": "an inner measure",
    "runner.page": "an inner measure",
    "store.batch": "an inner measure",
    "store.brief": "an inner measure",
    "store.changes": "an inner measure",
    "store.departed": "must cover what a crash can repeat",
    "store.directory": "is the file system's",
    "store.expunged": "an inner measure",
    "store.filed": "an inner measure",
    "store.modseq_block": "an inner measure",
    "store.index_batch": "an inner measure",
    "store.index_every": "an inner measure",
    "store.index_octets": "an inner measure",
    "store.index_quiet": "an inner measure",
    "store.names": "an inner measure",
    "store.names_after": "an inner measure",
    "store.piece": "an inner measure",
    "store.read_batch": "an inner measure",
    "store.recent_accounts": "an inner measure",
    "store.reserved": "is [journey] mailbox",
    "store.read_ahead_messages": "an inner measure",
    "store.read_whole": "an inner measure",
    "store.sync_each": "an inner measure",
    "store.uid_block": "an inner measure",
}
"""Values without a key, and why."""


def uncommented(text: str) -> str:
    """The file with every key switched on."""
    return re.sub(r"^#(?=[^ #\n])", "", text, flags=re.MULTILINE)


def hub() -> str:
    return "hub.example"


def test_file() -> None:
    """etc/mailhub.ini is what the table prints (python -m mailhub.config.sample)."""
    assert SAMPLE.read_text() == sample()


def test_as_it_is() -> None:
    """As it is delivered, it changes nothing."""
    assert parse(SAMPLE.read_text(), hub) == parse("", hub)


def test_uncommented() -> None:
    """All keys switched on change nothing either: they show the defaults."""
    settings, mistakes = parse(uncommented(SAMPLE.read_text()), hub)
    assert mistakes == []
    assert settings == filled(Settings(), {"hub.hostname": "hub.example"})


def test_every_key_is_there() -> None:
    """Each key of the table can be uncommented, and has words about it."""
    entries = {(it.section, it.key) for it in read(uncommented(SAMPLE.read_text())).entries}
    keys = {(section.name, key.name) for section in SECTIONS for key in section.keys}
    assert entries == keys
    assert all(key.why.endswith(".") for section in SECTIONS for key in section.keys)


def test_every_key_of_a_route_is_told() -> None:
    """Routes and the like have no default to show: their keys are described."""
    text = SAMPLE.read_text()
    for section in NAMED:
        for key in section.keys:
            assert f"#   {key.name}: " in text


def test_examples() -> None:
    """The examples are right."""
    for name in ("provider NAME", "source NAME", "class NAME", "limit NAME", "backup NAME"):
        assert parse(EXAMPLES[name].partition("\n\n")[2], hub)[1] == []
    example = (
        EXAMPLES["route NAME"]
        .partition("\n\n")[2]
        .replace("password file", "#")
        .replace("username", "#")
    )
    settings, mistakes = parse(example, hub)
    assert mistakes == []
    assert [route.name for route in settings.routes] == ["provider", "direct"]


def test_everything_can_be_configured() -> None:
    """Each value in the settings has a key: a limit that nobody can change is a bug."""
    targets = {key.target for section in SECTIONS for key in section.keys}
    missing = [name for name in leaves(Settings(), "") if name not in targets | set(UNCONFIGURED)]
    assert missing == []
    assert set(UNCONFIGURED) <= set(leaves(Settings(), ""))
    assert not set(UNCONFIGURED) & targets


def leaves(value: Any, prefix: str) -> list[str]:
    names = []
    for one in fields(value):
        if not one.init:
            continue  # what a value finds out about itself is not for anybody to say
        inner = getattr(value, one.name)
        name = f"{prefix}{one.name}"
        if is_dataclass(inner) and name not in UNCONFIGURED:
            names += leaves(inner, f"{name}.")
        else:
            names.append(name)
    return names


def test_targets_are_unique() -> None:
    """No two keys fill the same value, and no section has a key twice."""
    targets = [key.target for section in SECTIONS for key in section.keys]
    assert len(targets) == len(set(targets))
    for section in (*SECTIONS, *NAMED):
        names = [key.name for key in section.keys]
        assert len(names) == len(set(names)), section.name


def test_readable() -> None:
    """Lines fit a terminal."""
    assert max(map(len, sample().splitlines())) <= WIDTH


def test_chosen() -> None:
    """Chosen values stand uncommented where their keys are."""
    text = sample({("hub", "hostname"): "mail.example.com", ("listen", "pop3"): ""})
    settings, mistakes = parse(text, hub)
    assert mistakes == []
    assert settings.hub.hostname == "mail.example.com"
    assert settings.listen.pop3 == ()
    assert "\nhostname = mail.example.com\n" in text


@pytest.mark.parametrize("section", SECTIONS, ids=lambda it: it.name)
def test_defaults_survive(section: Any) -> None:
    """Every default can be printed and read again."""
    from operator import attrgetter  # noqa: PLC0415

    for key in section.keys:
        value = attrgetter(key.target)(Settings())
        assert key.kind.parse(key.kind.show(value)) == value, key.name


def test_command() -> None:
    """The module prints the file."""
    command = [sys.executable, "-m", "mailhub.config.sample"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == sample()
