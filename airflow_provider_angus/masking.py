"""How hundreds of secrets become known to Airflow's secrets masker without compiling its pattern hundreds of times.

For each secret that it learns the masker compiles one pattern of all that it knows: two for each connection and one for
its token, which for 500 connections takes minutes. Within :func:`masked_together` it compiles when it next has to mask
something. What it masks, and when, stays the same.
"""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.compat import secrets_masker

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def masked_together() -> Iterator[None]:
    """Learn secrets fast: Airflow's masker compiles its pattern when it is needed, and at the end.

    All secrets of the process are meant, whoever makes them known; from several threads and within itself, too.
    """
    masker = secrets_masker()
    if masker is None or "add_mask" in vars(masker):
        yield
        return
    pattern = _PatternWhenNeeded(masker)
    masker.add_mask = pattern.add_mask
    try:
        yield
    finally:
        del masker.add_mask
        pattern.compile()


class _PatternWhenNeeded:
    """Stands where the masker has its compiled pattern, and puts that there when it is asked for.

    :param masker: an Airflow ``SecretsMasker``; used are its ``add_mask``, ``patterns`` and ``replacer``.
    """

    def __init__(self, masker: Any) -> None:
        self._masker = masker
        self._lock = threading.RLock()
        self._last: tuple[str, str | None, set[str]] = ("", None, set())

    def add_mask(self, secret: Any, name: str | None = None) -> None:
        """Do what the masker's own does, without compiling."""
        if not isinstance(secret, str):
            # Comes back with each text in it.
            type(self._masker).add_mask(self._masker, secret, name)
            return
        # Which patterns a secret has, and whether it has any, is the masker's own to say.
        alone = copy.copy(self._masker)
        alone.patterns, alone.replacer = set(), None
        type(alone).add_mask(alone, secret, name)
        with self._lock:
            if new := alone.patterns - self._masker.patterns:
                self._masker.patterns |= new
                self._masker.replacer = self
                self._last = secret, name, new

    def sub(self, replacement: str, text: str) -> str:
        """Return a text without the secrets, as the compiled pattern does."""
        self.compile()
        masked: str = self._masker.replacer.sub(replacement, text)
        return masked

    def compile(self) -> None:
        """Let the masker compile, where it has not since it learnt the last secret."""
        with self._lock:
            if self._masker.replacer is self:
                secret, name, patterns = self._last
                self._masker.patterns -= patterns
                type(self._masker).add_mask(self._masker, secret, name)
