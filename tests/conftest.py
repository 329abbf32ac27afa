"""How hypothesis is to work: a machine that is busy with other things makes no test fail."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("mailhub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mailhub")
