"""The Apache Airflow provider for the Angus.ai audience-analytics Data API."""

from __future__ import annotations

from typing import Any

__version__ = "1.0.0"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata for Airflow (entry point ``apache_airflow_provider``).

    :returns: a dict of the form of Airflow's ``provider_info.schema.json``; ``connection-types`` also has the form
        fields that Airflow 3.2+ reads.
    """
    from airflow_provider_angus._provider_info import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS

    integration, package = "Angus.ai", __name__
    uris = [{"schemes": ["angus"], "handler": f"{package}.assets.sanitize_uri"}]
    modules = {"operators": ["operators", "transfers"], "sensors": ["sensors"], "triggers": ["triggers"]}
    return {
        "package-name": "airflow-provider-angus",
        "name": integration,
        "description": "Audience analytics from cameras: the `Angus.ai <https://www.angus.ai/>`__ Data API.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": integration, "external-doc-url": "https://www.angus.ai/", "tags": ["service"]}
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks"]}],
        **{
            kind: [{"integration-name": integration, "python-modules": [f"{package}.{name}" for name in names]}]
            for kind, names in modules.items()
        },
        "extra-links": [f"{package}.links.AngusConsoleLink"],
        "asset-uris": uris,
        "dataset-uris": uris,  # Airflow 2's name
        "connection-types": [
            {
                "connection-type": "angus",
                "hook-class-name": f"{package}.hooks.AngusHook",
                "hook-name": integration,
                "conn-fields": CONNECTION_FIELDS,
                "ui-field-behaviour": CONNECTION_FIELD_BEHAVIOUR,
            }
        ],
    }
