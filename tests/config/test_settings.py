"""The settings as values: defaults, places, services."""

from __future__ import annotations

from mailhub.config.settings import IMPLICIT, LOGINS, SERVICES, Hub, Listen, Settings


def test_places() -> None:
    """Everything lives below the state directory."""
    hub = Hub("hub.example", "/var/lib/mailhub")
    assert hub.accounts == "/var/lib/mailhub/accounts.db"
    assert hub.spool == "/var/lib/mailhub/spool"
    assert hub.tls == "/var/lib/mailhub/tls"
    assert hub.control == "/var/lib/mailhub/control"


def test_services() -> None:
    """Each service listens at its registered port by default."""
    ports = {name: [it.port for it in them] for name, them in Listen().all().items()}
    assert ports == {
        "smtp": [25],
        "submission": [587],
        "submissions": [465],
        "imap": [143],
        "imaps": [993],
        "pop3": [110],
        "pop3s": [995],
    }
    assert set(LOGINS) | {"smtp"} == set(SERVICES)
    assert set(SERVICES) > IMPLICIT


def test_frozen() -> None:
    """Settings are values: equal when alike, and hashable."""
    assert Settings() == Settings()
    assert hash(Settings().hub) == hash(Hub())


def test_aliases() -> None:
    """How addresses are expanded is one value, wherever it is asked for."""
    settings = Settings()
    assert settings.aliases is settings.access.aliases
