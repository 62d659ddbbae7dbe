"""Settings of hypothesis: tests share the machine with other tests, so an example has no deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
