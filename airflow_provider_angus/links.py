"""Where a task's page in the Airflow UI leads: the Angus console of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator


class AngusConsoleLink(BaseOperatorLink):
    """A button that opens the Angus console, where a stream's credentials and dashboard are."""

    name = "Angus console"

    def get_link(self, operator: BaseOperator, **_: Any) -> str:
        """Return the console's URL, as the operator's connection has it; Angus's own where that cannot be read.

        :param operator: has an ``angus_conn_id``; of several connections the first counts.
        """
        from airflow_provider_angus.connection import CONSOLE_URL
        from airflow_provider_angus.exceptions import AngusError
        from airflow_provider_angus.hooks import AngusHook

        conn_id = getattr(operator, "angus_conn_id", None)
        conn_id = conn_id if isinstance(conn_id, str) else next(iter(conn_id or ()), "")
        try:
            return AngusHook(conn_id).settings().console_url
        except AngusError:
            # Airflow 2 asks in the web server, which may see another connection, or none, or a template.
            return CONSOLE_URL
