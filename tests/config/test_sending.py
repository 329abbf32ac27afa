"""Terms of suppression lists, as the file says them."""

from __future__ import annotations

from mailhub.config.change import changes
from mailhub.config.load import parse
from mailhub.policy.suppression import Action, Suppression, Terms


def hub() -> str:
    return "hub.example"


def test_nothing() -> None:
    """Without a word of it, the defaults are obeyed."""
    settings, mistakes = parse("", hub)
    assert mistakes == []
    assert settings.suppression == Suppression()


def test_common_terms() -> None:
    """What [suppression] says is for all domains."""
    settings, mistakes = parse(
        """
[suppression]
action = refuse
classes = *
complaint classes = bulk
hard failures = 2
hard failures for = 30d
return paths = bulk
return domain = bounces.hub.example
return paths for = 10d
reports to = Abuse, fbl-in
""",
        hub,
    )
    assert mistakes == []
    found = settings.suppression
    assert found.terms == Terms(
        Action.REFUSE,
        ("*",),
        ("bulk",),
        hard_failures=2,
        hard_life=30 * 86_400.0,
        returns=("bulk",),
        return_domain="bounces.hub.example",
    )
    assert (found.return_days, found.reports) == (10, ("abuse", "fbl-in"))


def test_terms_of_some_domains() -> None:
    """A section changes what it gives, wherever it stands; the rest is as for all."""
    settings, mistakes = parse(
        """
[sending shop]
senders = shop.example, *.shop.example
return paths = bulk, alarm

[suppression]
hard failures = 3

[class alarm]
accounts = monitor@hub.example
""",
        hub,
    )
    assert mistakes == []
    shop = settings.suppression.of("news.shop.example")
    assert shop.terms == Terms(hard_failures=3, returns=("bulk", "alarm"))
    assert str(shop.rule("return paths")) == "[sending shop] return paths"
    assert str(shop.rule("hard failures")) == "[suppression] hard failures"
    assert settings.suppression.of("hub.example").terms == Terms(hard_failures=3)


def test_mistakes() -> None:
    """Classes that there are not, and a section for nobody, are told with their lines."""
    _, mistakes = parse(
        """[suppression]
classes = bulk, reset
reports to = abuse@hub.example
[sending shop]
action = off
[sending school]
senders = school.example
return paths = bluk
""",
        hub,
    )
    assert [(it.line, it.section, it.key) for it in mistakes] == [
        (2, "suppression", "classes"),
        (3, "suppression", "reports to"),
        (4, "sending shop", "senders"),
        (8, "sending school", "return paths"),
    ]
    assert "there is no class bluk; there are: notice, bulk, normal" in str(mistakes[-1])


def test_a_reload_applies_it() -> None:
    """Nothing of it waits for a restart."""
    before, _ = parse("[sending shop]\nsenders = shop.example", hub)
    after, _ = parse("[suppression]\naction = off\n[sending school]\nsenders = *", hub)
    found = changes(before, after)
    assert found.restart == ()
    assert set(found.live) == {"[suppression] action", "[sending shop]", "[sending school]"}
