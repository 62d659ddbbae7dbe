"""The Python interpreters of this machine."""

from __future__ import annotations

import os
import subprocess


def interpreter(version: str) -> str | None:
    """Return the path of a Python interpreter, or None. A file on the PATH may be a shim of pyenv without a Python."""
    try:
        return subprocess.run(
            [f"python{version}", "-c", "import sys; print(sys.executable)"],
            env=os.environ | {"PYENV_VERSION": version},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
