"""A local Angus.ai: console and data API on one local port, with simulated visitors of three shops.

``python -m airflow_provider_angus.sandbox`` prints a connection for Airflow. In tests, use :class:`Sandbox`. It serves
real HTTP, has a clock that you can set, simulates failures, and follows the documented API, traps included: a request
up to midnight also returns the bucket that starts at midnight, an unaligned request returns partial buckets, empty
buckets contain zeros, and the token URL without its final slash redirects. Web pages of any origin may use it (CORS).
Each stream has the same visitors in every sandbox. The sandbox needs only the standard library.
"""

from __future__ import annotations

from airflow_provider_angus.sandbox.api import Incoming, Reply
from airflow_provider_angus.sandbox.clock import Clock
from airflow_provider_angus.sandbox.sandbox import Sandbox

__all__ = ["Clock", "Incoming", "Reply", "Sandbox"]
