"""Keys of providers and sources fill the values that obey them."""

from __future__ import annotations

from dataclasses import fields

from mailhub.config.keys_provider import PROVIDER, SOURCE
from mailhub.policy.provider import Provider, Source
from mailhub.policy.retry import KEYS


def test_every_value_has_a_key() -> None:
    """Whatever a provider or a source may be like can be said."""
    for section, kind, made in (
        (PROVIDER, Provider, {"name", "listed", "wishes"}),
        (SOURCE, Source, {"name"}),
    ):
        targets = [key.target for key in section.keys]
        assert set(targets) - set(KEYS) == {it.name for it in fields(kind)} - made
        assert len(targets) == len(set(targets))
        assert all(key.why.endswith(".") for key in section.keys)
