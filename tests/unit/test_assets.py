"""Asset URIs of streams, as Airflow passes them to the provider."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_versions import AIRFLOW_3

pytestmark = pytest.mark.usefixtures("airflow")


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("angus://D49ab774-59b2/entities", "angus://d49ab774-59b2/entities"),
        ("angus://d49ab774-59b2/entities/", "angus://d49ab774-59b2/entities"),
    ],
)
def test_asset_uri_has_a_canonical_form(uri: str, canonical: str) -> None:
    assert Asset(uri).uri == canonical


@pytest.mark.parametrize(
    "uri", ["angus:///entities", "angus://camera", "angus://camera/rows", "angus://c/entities?a=b"]
)
def test_asset_uri_of_another_form_is_rejected(uri: str) -> None:
    """Airflow 2 turns the error into a warning."""
    if AIRFLOW_3:
        with pytest.raises(ValueError, match="must be angus://<stream>/entities"):
            Asset(uri)
    else:
        with pytest.warns(UserWarning, match="angus"):
            Asset(uri)
