"""A local Angus.ai: console and data API on one port of this machine, with the visitors of made-up shops.

For trying things out, with a connection to paste into Airflow::

    python -m airflow_provider_angus.sandbox

For tests, over real HTTP, with a clock to set and trouble to order::

    from datetime import UTC, datetime

    from airflow_provider_angus.sandbox import Sandbox

    with Sandbox(page_size=10) as sandbox:
        sandbox.clock.set(datetime(2017, 9, 4, tzinfo=UTC))  # data exists up to here, less a minute
        sandbox.fail_next(503, on="entities", headers={"Retry-After": "1"})
        load(sandbox.connection())  # your code, asking for the 24 hours of the 3rd
        assert sandbox.count("entities") == 4  # one refused, three pages

It behaves as the API page says, traps included: a request up to midnight also gets the bucket that starts
there, an unaligned request gets partial buckets, quiet hours come as zeros, the token URL without its last
slash redirects. The same stream and hour always give the same people. Only the standard library is needed.

Where to look: ``traffic`` who came to the shop; ``clock`` what can be read of it already; ``tokens`` who may
ask; ``api`` what is answered; ``server`` all of it over HTTP, with trouble on order.
"""

from __future__ import annotations

from airflow_provider_angus.sandbox.clock import Clock
from airflow_provider_angus.sandbox.server import Sandbox

__all__ = ["Clock", "Sandbox"]
