"""What a reload is about."""

from __future__ import annotations

from dataclasses import replace

from mailhub.config.change import Changes, applied, changes
from mailhub.config.load import filled
from mailhub.config.settings import Settings
from mailhub.policy.provider import Source
from mailhub.policy.route import Route


def test_nothing() -> None:
    """Two equal configurations differ in nothing."""
    assert changes(Settings(), Settings()) == Changes()


def test_live_and_restart() -> None:
    """Keys are told apart by whether a reload applies them."""
    new = filled(
        Settings(),
        {"smtp.size": 1, "imap.errors": 3, "hub.state": "/elsewhere", "listen.smtp": ()},
    )
    assert changes(Settings(), new) == Changes(
        live=("[smtp] message limit", "[imap] errors"), restart=("[hub] state", "[listen] smtp")
    )


def test_providers_and_replies() -> None:
    """Providers, sources and what is made of replies are told likewise."""
    new = replace(Settings(), providers=(), sources=(Source("a", "192.0.2.1"),), replies=())
    live = changes(Settings(), new).live
    assert "[provider google]" in live
    assert live[-2:] == ("[source a]", "what replies mean")


def test_routes() -> None:
    """Routes that came, went or changed are told by name."""
    old = replace(Settings(), routes=(Route("a"), Route("b"), Route("c")))
    new = replace(Settings(), routes=(Route("b"), Route("c", None, ("x.example",)), Route("d")))
    live = ("[route a]", "[route c]", "[route d]")
    assert changes(old, new) == Changes(live=live)


def test_applied() -> None:
    """A reload takes what is live as it is now, and leaves the rest as it was."""
    new = filled(Settings(), {"smtp.size": 1, "hub.state": "/elsewhere", "listen.backlog": 7})
    new = replace(new, routes=(Route("a"),))
    found = applied(Settings(), new)
    assert found.smtp.size == 1
    assert found.routes == (Route("a"),)
    assert found.hub == Settings().hub
    assert found.listen == Settings().listen
    left = changes(found, new)
    assert left == Changes(restart=("[hub] state", "[listen] backlog"))
