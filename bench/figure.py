"""A number that a step gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        more: Whether more is better.
    """

    name: str
    value: float
    unit: str
    more: bool = True
