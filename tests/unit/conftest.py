"""Settings of hypothesis for unit tests, which share the machine: no deadline, and fewer examples.

``make hostile`` sends 20,000 replies to both clients.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=40)
settings.load_profile("unit")
