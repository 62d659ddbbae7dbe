"""A local Angus.ai to try things out with: serves until Ctrl-C."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from threading import Event

from airflow_provider_angus.sandbox.server import Call, Sandbox


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM.

    :param arguments: what stands after the command's name; the terminal's own if not given.
    :returns: the exit code: 0 when stopped, 1 when the sandbox cannot start.
    """
    parser = argparse.ArgumentParser("python -m airflow_provider_angus.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one; default %(default)s")
    parser.add_argument("--page-size", type=int, default=100, help="buckets per page; default %(default)s")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer; default 0")
    options = parser.parse_args(arguments)
    # Both, and by hand: a shell starts what runs in the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        sandbox = Sandbox(**vars(options), on_call=_log)
    except (OSError, OverflowError, ValueError) as error:
        print(f"Cannot start the sandbox on port {options.port}: {error}", file=sys.stderr)
        return 1
    try:
        with sandbox:
            print(_welcome(sandbox), flush=True)
            Event().wait()
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
    return 0


def _welcome(sandbox: Sandbox) -> str:
    connection = sandbox.connection_json()
    streams = "\n".join(f"  {client_id}  {secret}" for client_id, secret in sandbox.streams.items())
    return f"""\
Angus.ai sandbox: {sandbox.url} is console and data API. Ctrl-C stops it.

The Airflow connection to its first stream, as JSON:
  {connection}
For a shell:
  export AIRFLOW_CONN_ANGUS_DEFAULT={shlex.quote(connection)}
Streams, each with its access token, for {sandbox.username}:
{streams}
"""


def _log(call: Call) -> None:
    # By name: what else stands in a query may be a secret that was put there by mistake.
    shown = [call.query[name] for name in ("time", "from_date", "to_date", "page") if name in call.query]
    print(" ".join([str(call.status), call.method, call.path, *shown]) + "\n", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
