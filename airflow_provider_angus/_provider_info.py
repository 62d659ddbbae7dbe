"""The connection form: its fields and labels. It imports nothing, because every Airflow process reads it."""

from __future__ import annotations

from typing import Any

#: The form's own fields, saved in the connection's extra. Airflow 3.2+ reads them from the provider info; the hook
#: derives widgets from them for 2.11 to 3.1. A type with "null" is optional.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "client_id": {
        "label": "Client ID",
        "description": "Identifies the stream (one camera). The Angus console's stream page calls it “Login”.",
        "schema": {"type": "string"},
    },
    "console_url": {
        "label": "Console URL",
        "description": "Where API tokens come from. Empty: https://console.angus.ai",
        "schema": {"type": ["string", "null"]},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "The maximum duration of one response. Empty: 30",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true, false, or the path of a PEM file or folder of CA certificates. Empty: true",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy URL",
        "description": "An HTTP or SOCKS 5 proxy for both URLs. Empty: the proxy of the environment, if any",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "concurrency": {
        "label": "Concurrent pages",
        "description": "The maximum of concurrent page requests of one query. Empty: 4",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 32},
    },
}

#: Labels of the form's standard fields. Port stays visible: the Test button of some 3.x versions needs it.
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
