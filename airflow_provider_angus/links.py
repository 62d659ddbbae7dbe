"""The link on a task's page in the Airflow UI: the Angus console of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_angus._parameters import connection_ids

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator


class AngusConsoleLink(BaseOperatorLink):
    """A button that opens the Angus console, which has a stream's credentials and dashboard.

    Example::

        class MyOperator(BaseOperator):
            operator_extra_links = (AngusConsoleLink(),)
    """

    name = "Angus console"

    def get_link(self, operator: BaseOperator, **_: Any) -> str:
        """Return the console's URL from the operator's connection, or the default URL if it cannot be read.

        :param operator: an operator with ``angus_conn_id``; of several connections the first is used.
        """
        from airflow_provider_angus.api.settings import CONSOLE_URL
        from airflow_provider_angus.hooks import AngusHook

        try:
            conn_id, *_others = connection_ids("angus_conn_id", getattr(operator, "angus_conn_id", None))
            return AngusHook(conn_id).settings().console_url
        except Exception:  # noqa: BLE001 (a link must not break the page or the task)
            # Airflow 2 calls this in the web server, which may lack the connection or see a template.
            return CONSOLE_URL
