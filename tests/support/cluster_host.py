"""The host name of each process of a cluster on one machine, for Airflow's ``[core] hostname_callable``."""

from __future__ import annotations

import os


def name() -> str:
    """Return the name with which ``LiveAirflow`` started this process, such as ``worker-1``."""
    return os.environ["HOSTNAME"]
