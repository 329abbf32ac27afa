"""mailhub check."""

from __future__ import annotations

from pathlib import Path

from mailhub.accounts.database import Accounts
from mailhub.cli.check import notes
from mailhub.config.certificate import self_signed
from mailhub.config.load import filled
from mailhub.config.settings import Settings
from tests.cli.conftest import Mailhub

NOW = 1_700_000_000.0


def settings(tmp_path: Path, *names: str) -> Settings:
    values: dict[str, object] = {"hub.hostname": "mail.hub.example", "hub.state": str(tmp_path)}
    if names:
        files, _ = self_signed(str(tmp_path / "tls"), names, NOW)
        values["tls.certificates"] = (files,)
    return filled(Settings(), values)


def test_ok(mailhub: Mailhub, tmp_path: Path) -> None:
    """A good file is ok; what is odd is noted, and is no failure."""
    path = tmp_path / "mailhub.ini"
    path.write_text(f"[hub]\nhostname = hub.example\nstate = {tmp_path}\n")
    said = mailhub("--config", str(path), "check")
    assert (said.status, said.out) == (0, f"{path}: ok\n")
    assert said.err.count("note: ") == 2


def test_mistakes(mailhub: Mailhub, tmp_path: Path) -> None:
    """All mistakes of a bad one, and status 1."""
    path = tmp_path / "mailhub.ini"
    path.write_text("[hub]\nhostname = hub\n[nothing]\n")
    said = mailhub("--config", str(path), "check")
    assert said.status == 1
    assert said.err.count("\n") == 2


def test_accounts(tmp_path: Path) -> None:
    """A hub that takes mail for nobody, or that nobody can log in to, is odd."""
    good = settings(tmp_path, "mail.hub.example")
    with Accounts(tmp_path / "accounts.db") as accounts:
        assert any("no domain is hosted" in it for it in notes(good, NOW))
        accounts.add_domain("hub.example")
        assert any("there are no accounts" in it for it in notes(good, NOW))


def test_certificates(tmp_path: Path) -> None:
    """So are certificates that end soon, have ended, or are for others."""
    year = 365 * 86400.0
    for names, now, words in [
        (("other.example",), NOW, "no certificate is for mail.hub.example"),
        (("*.hub.example",), NOW + 10 * year - 86400, "expires in 1 days"),
        (("*.hub.example",), NOW + 10 * year + 1, "has expired"),
    ]:
        found = list(notes(settings(tmp_path / names[0], *names), now))
        assert any(words in it for it in found), words
    found = list(notes(settings(tmp_path / "good", "*.hub.example"), NOW))
    assert [it for it in found if "no accounts yet" not in it] == []
