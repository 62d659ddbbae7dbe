"""Run a local Angus.ai until Ctrl-C."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from threading import Event

from airflow_provider_angus.sandbox.sandbox import Call, Sandbox


def main() -> int:
    """Serve until Ctrl-C or SIGTERM.

    :returns: the exit code: 0 after a normal stop, 1 if the sandbox cannot start.
    """
    parser = argparse.ArgumentParser("python -m airflow_provider_angus.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 selects a free port; default %(default)s")
    parser.add_argument("--page-size", type=int, default=100, help="buckets per page; default %(default)s")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each response; default 0")
    options = parser.parse_args()
    # Shells start background processes with SIGINT ignored, so both handlers are set explicitly.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Sandbox(**vars(options), on_call=_log) as sandbox:
            print(_banner(sandbox), flush=True)
            Event().wait()
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
    except (OSError, OverflowError, ValueError) as error:
        print(f"Sandbox on port {options.port}: {error}", file=sys.stderr)
        return 1
    return 0


def _banner(sandbox: Sandbox) -> str:
    connection = sandbox.connection_json()
    streams = "\n".join(f"  {client_id}  {secret}" for client_id, secret in sandbox.streams.items())
    return f"""\
Angus.ai sandbox: {sandbox.url} serves the console and the data API. Press Ctrl-C to stop.

Airflow connection to the first stream, as JSON:
  {connection}
As a shell command:
  export AIRFLOW_CONN_ANGUS_DEFAULT={shlex.quote(connection)}
Streams and access tokens of {sandbox.username}:
{streams}
"""


def _log(call: Call) -> None:
    # Only known parameters: other parameters may contain a secret by mistake.
    values = [call.query[name] for name in ("time", "from_date", "to_date", "page") if name in call.query]
    print(" ".join([str(call.status), call.method, call.path, *values]) + "\n", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
