"""Loading: what a file changes, and every mistake at once with its place."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path

import pytest

from mailhub.config.endpoint import Endpoint
from mailhub.config.load import ConfigError, filled, load, own_name, parse
from mailhub.config.settings import Settings
from mailhub.policy.route import Route, Smarthost, TlsDemand

BAD = sorted((Path(__file__).parent / "bad").glob("*.ini"))
NAMED = "[hub]\nhostname = hub.example\n"


def hub() -> str:
    return "hub.example"


def loaded(text: str) -> Settings:
    settings, mistakes = parse(NAMED + text, hub)
    assert mistakes == []
    return settings


def test_empty() -> None:
    """An empty file is the defaults, with the machine's name."""
    settings, mistakes = parse("", hub)
    assert mistakes == []
    assert settings == filled(Settings(), {"hub.hostname": "hub.example"})


def test_values() -> None:
    """Keys reach the value they belong to, however deep; all else stays at its default."""
    settings = loaded(
        "[smtp]\nmessage limit = 5M\n[auth]\nhash memory = 64M\n[listen]\npop3 =\n"
        "smtp = 127.0.0.1:2525, [::1]:2525\n"
    )
    assert settings.smtp.size == 5 << 20
    assert settings.submission == Settings().submission
    assert settings.auth.cost.memory == 64 << 10
    assert settings.auth.cost.passes == Settings().auth.cost.passes
    assert settings.listen.pop3 == ()
    assert settings.listen.smtp == (Endpoint("127.0.0.1", 2525), Endpoint("::1", 2525))


def test_machine_name() -> None:
    """Without a hostname the machine's own is taken, and its lack of a domain told."""
    assert parse("", lambda: "Box.Example")[0].hub.hostname == "box.example"
    [mistake] = parse("", lambda: "box")[1]
    assert str(mistake) == (
        '[hub] hostname: missing, and what this machine calls itself, "box", is no full host name'
    )
    assert own_name()


def test_routes(tmp_path: Path) -> None:
    """Smarthosts get their port, TLS and password from what is given."""
    password = tmp_path / "password"
    password.write_text("s p#cial\nsecond line\n")
    password.chmod(0o640)
    settings = loaded(
        f"[route out]\nhost = smtp.example.com\nusername = ann\npassword file = {password}\n"
        "[route lists]\nhost = [2001:db8::1]:465\nrecipients = lists.example, *.lists.example\n"
        "[route inner]\nhost = inner.example:2525\ntls = none\nsenders = hub.example\n"
        "[route direct]\nhost =\nrecipients = partner.example\n"
    )
    verified = TlsDemand.VERIFIED
    out = Smarthost("out", "smtp.example.com", 587, verified, False, "ann", "s p#cial")
    lists = Smarthost("lists", "2001:db8::1", 465, verified, True)
    inner = Smarthost("inner", "inner.example", 2525, TlsDemand.NONE)
    assert settings.routes == (
        Route("out", out, (), (), verified),
        Route("lists", lists, ("lists.example", "*.lists.example"), (), verified),
        Route("inner", inner, (), ("hub.example",), TlsDemand.NONE),
        Route("direct", None, ("partner.example",)),
    )


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad(path: Path, tmp_path: Path) -> None:
    """Each bad file, which names its own mistakes at its top, gets exactly those."""
    directory = str(tmp_path)
    text = path.read_text().replace("TMP", directory)
    top = takewhile(lambda line: line.startswith("# "), text.split("\n"))
    expected = [line[2:] for line in top]
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "open").write_text("secret")
    os.chmod(tmp_path / "open", 0o644)
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    written = tmp_path / path.name
    written.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(written, lambda: "box.example")
    assert [str(it) for it in caught.value.mistakes] == expected
    assert str(caught.value).split("\n") == [f"{written}: {it}" for it in expected]


def test_number_of_bad_files() -> None:
    """There is a bad file for every kind of mistake."""
    assert len(BAD) >= 15


def test_not_utf8(tmp_path: Path) -> None:
    """Octets that are no text are told with their line."""
    path = tmp_path / "bad.ini"
    path.write_bytes(b"[hub]\nhostname = caf\xe9.example\n")
    with pytest.raises(ConfigError, match=r"bad\.ini: line 2: is not UTF-8"):
        load(path, hub)


def test_byte_order_mark(tmp_path: Path) -> None:
    """Editors of Windows put a mark before the first line, which means nothing."""
    path = tmp_path / "marked.ini"
    path.write_bytes(b"\xef\xbb\xbf[hub]\r\nhostname = hub.example\r\n")
    assert load(path).hub.hostname == "hub.example"


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is an OSError with its name."""
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.ini", hub)
