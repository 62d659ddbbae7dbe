"""The Apache Airflow provider for the Angus.ai audience-analytics Data API.

What Airflow asks of a provider stands here: the version and :func:`get_provider_info`. It imports nothing, because
every Airflow process calls it.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_PACKAGE = "airflow_provider_angus"

#: The connection form's own fields, kept in the connection's extra; Airflow 3.2+ reads them from the provider info, the
#: hook derives from them what 2.11 to 3.1 ask it for. A type with "null" may be left empty.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "client_id": {
        "label": "Client ID",
        "description": "Identifies the stream (one camera); the Angus console's stream page calls it “Login”.",
        "schema": {"type": "string"},
    },
    "console_url": {
        "label": "Console URL",
        "description": "Where tokens come from. Empty: https://console.angus.ai",
        "schema": {"type": ["string", "null"]},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "How long one answer may take. Empty: 30",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true, false, or the path of a CA bundle on the workers and triggerers. Empty: true",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy URL",
        "description": "An HTTP proxy for both URLs. Empty: as the environment says",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "concurrency": {
        "label": "Pages at once",
        "description": "How many pages of one question are asked for at once at most; 1: one by one. Empty: 4",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 32},
    },
}

#: What the standard fields of the form are called here. Port stays: the Test button of some 3.x needs it.
CONNECTION_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {
        "host": "Data API URL",
        "login": "Console login (e-mail)",
        "password": "Access token (console: “Password”)",
    },
    "placeholders": {
        "host": "https://data.angus.ai",
        "login": "you@example.com",
        "client_id": "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        "console_url": "https://console.angus.ai",
        "timeout": "30",
        "verify": "true",
        "proxy": "",
        "concurrency": "4",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow shows and needs to know of this provider (entry point ``apache_airflow_provider``).

    The form of the answer is Airflow's ``provider_info.schema.json`` and, for the connection form, what 3.2+ reads
    beside it.
    """
    integration = "Angus.ai"
    uris = [{"schemes": ["angus"], "handler": f"{_PACKAGE}.assets.sanitize_uri"}]
    return {
        "package-name": "airflow-provider-angus",
        "name": integration,
        "description": "Audience analytics from cameras: the `Angus.ai <https://www.angus.ai/>`__ Data API.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": integration, "external-doc-url": "https://www.angus.ai/", "tags": ["service"]}
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{_PACKAGE}.hooks"]}],
        "operators": [
            {"integration-name": integration, "python-modules": [f"{_PACKAGE}.operators", f"{_PACKAGE}.transfers"]}
        ],
        "sensors": [{"integration-name": integration, "python-modules": [f"{_PACKAGE}.sensors"]}],
        "triggers": [
            {"integration-name": integration, "python-modules": [f"{_PACKAGE}.triggers", f"{_PACKAGE}.watchers"]}
        ],
        "extra-links": [f"{_PACKAGE}.links.AngusConsoleLink"],
        "asset-uris": uris,
        "dataset-uris": uris,  # what Airflow 2 calls them
        "connection-types": [
            {
                "connection-type": "angus",
                "hook-class-name": f"{_PACKAGE}.hooks.AngusHook",
                "hook-name": integration,
                "conn-fields": CONNECTION_FIELDS,
                "ui-field-behaviour": CONNECTION_FIELD_BEHAVIOUR,
            }
        ],
    }
