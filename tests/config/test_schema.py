"""The table of sections (its keys are checked against the sample and the settings)."""

from __future__ import annotations

from mailhub.config.keys_delivery import ROUTE
from mailhub.config.keys_provider import PROVIDER, SOURCE
from mailhub.config.schema import SECTIONS, section_of


def test_sections() -> None:
    """Sections are found by name; every route is one of a kind."""
    for section in SECTIONS:
        assert section_of(section.name) is section
    assert section_of("route to hell") is ROUTE
    assert section_of("provider google") is PROVIDER
    assert section_of("source a") is SOURCE
    assert section_of("routes") is None
    assert section_of("route") is None
    assert section_of("nonsense") is None
