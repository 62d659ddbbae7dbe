"""Settings of hypothesis for unit tests, which share the machine: no deadline, and fewer examples.

``make hostile`` sends 20,000 replies to both clients. Our checks do not depend on Airflow, so Airflow 3 runs most
examples. Those on Airflow 2 show that its classes pass values to the checks.
"""

from __future__ import annotations

from importlib.metadata import version

from hypothesis import settings

EXAMPLES = 10 if version("apache-airflow").startswith("2.") else 40

settings.register_profile("unit", deadline=None, max_examples=EXAMPLES)
settings.load_profile("unit")
