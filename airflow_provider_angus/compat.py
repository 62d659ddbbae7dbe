"""What differs between the Airflows that the provider works on: the only place that asks for a version."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Any

from airflow import __version__ as _version
from airflow.providers.common.compat.sdk import mask_secret

#: Whether the trigger that a task starts from knows the task's run: 3.3 and later.
STARTS_FROM_TRIGGER = tuple(map(int, _version.split(".")[:2])) >= (3, 3)


def is_asset(outlet: object) -> bool:
    """Return whether a task's outlet is one asset, by itself or by its name or URI (3.x): no alias, no file.

    :param outlet: what a user gave an operator.
    """
    from airflow.providers.common.compat.sdk import Asset

    try:
        from airflow.sdk.definitions.asset import AssetRef
    except ImportError:
        return isinstance(outlet, Asset)
    return isinstance(outlet, Asset | AssetRef)


async def amask_secret(secret: str) -> None:
    """Mask a secret in logs from an event loop, on which Airflow's own ``mask_secret`` must not run.

    :param secret: as it must not appear.
    """
    try:
        from airflow.sdk.log import amask_secret as amask
    except ImportError:
        await asyncio.to_thread(mask_secret, secret)
    else:
        await amask(secret)


def secrets_masker() -> Any:
    """Return the ``SecretsMasker`` that this process makes secrets known to; None where it is not found."""
    for module in (
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",  # 3.0, 3.1
        "airflow.utils.log.secrets_masker",  # 2.11
    ):
        with suppress(ImportError, AttributeError):
            return import_module(module)._secrets_masker()  # noqa: SLF001 (Airflow has no public way to it)
    return None
