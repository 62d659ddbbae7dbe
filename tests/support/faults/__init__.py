"""Faults of the API's responses, by name, with the error that must follow."""

from __future__ import annotations

from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError
from faults.content import BY_HOUR_ONLY, CONTENT, TOKENS
from faults.proxy import Fault, FaultProxy
from faults.transport import (
    LONG_RETRY_AFTER,
    RETRY_AFTER,
    TRANSPORT,
    close_after_response,
    reset_within_body,
    send_response,
    truncate,
)

__all__ = ["Fault", "FaultProxy", "all_faults", "send_response"]


def all_faults() -> dict[str, Fault]:
    """Return all faults by name."""
    faults = {name: Fault(*fault) for name, fault in {**TRANSPORT, **CONTENT}.items()}
    faults |= {f"{name} (token)": Fault(*fault, "token") for name, fault in {**TRANSPORT, **TOKENS}.items()}
    for status in (429, 500, 502, 503, 504):
        faults[f"{status} always"] = Fault(send_response(status), AngusUnavailableError)
        faults[f"{status} always (token)"] = Fault(send_response(status), AngusUnavailableError, "token")
        faults[f"{status} once"] = Fault(send_response(status), None, times=1)
    faults |= {
        f"429 always, Retry-After {name}": Fault(send_response(429, Retry_After=value), AngusUnavailableError)
        for name, value in LONG_RETRY_AFTER.items()
    }
    faults |= {
        f"429 once, Retry-After {name}": Fault(send_response(429, Retry_After=value), None, times=1)
        for name, value in RETRY_AFTER.items()
    }
    faults |= {
        "401 once": Fault(send_response(401), None, times=1),
        "401 on page 7 of 9": Fault(send_response(401), None, page=7, times=1),
        "503 on page 7 of 9": Fault(send_response(503), None, page=7, times=1),
        "truncated body on page 7 of 9": Fault(truncate, None, page=7, times=1),
        "reset on page 7 of 9": Fault(reset_within_body, None, page=7, times=1),
        "idle connections closed": Fault(close_after_response, None),
        "redirect on page 7 of 9": Fault(send_response(302, Location="/api/1/entities"), AngusResponseError, page=7),
    }
    return faults


def affects_test_button(name: str, fault: Fault) -> bool:
    """Return whether the query of the Test button meets a fault. It has one page and ``time=global``."""
    return fault.page is None and name not in BY_HOUR_ONLY
