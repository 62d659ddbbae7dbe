"""``AngusHook``: a client of the Angus API with the credentials of an Airflow connection."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_angus._compat import SUPERVISOR_LOCK, amask_secret, mask_secret
from airflow_provider_angus._connections import describe_missing, describe_problem
from airflow_provider_angus._provider_info import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS
from airflow_provider_angus.exceptions import AngusAuthError, AngusError, AngusRequestError
from airflow_provider_angus.model.arguments import describe_argument, digits_as_text, is_name
from airflow_provider_angus.model.buckets import Time
from airflow_provider_angus.model.entities import Row
from airflow_provider_angus.model.intervals import DateLike, Interval, explicit_interval

if TYPE_CHECKING:
    from airflow_provider_angus.api.async_client import AngusAsyncClient
    from airflow_provider_angus.api.auth import TokenCache
    from airflow_provider_angus.api.client import AngusClient
    from airflow_provider_angus.api.pagination import EntityPages
    from airflow_provider_angus.api.retries import RetryPolicy
    from airflow_provider_angus.api.settings import Settings

_TYPE = "Its type is Angus.ai (angus)."


class AngusHook(BaseHook):
    """Read the entities of one stream. The hook manages API tokens.

    Hooks with equal credentials share a token within a process, until 60 s before it expires.

    :param angus_conn_id: an Airflow connection of type ``angus``; one connection is one stream.
        An ``int`` is its digits.
    :param concurrency: the maximum of concurrent page requests of one query, 1 to 32; None: the connection's value,
        or 4.

    Example::

        hook = AngusHook("angus_default")
        rows = hook.get_entities("passing_by,interested", "2017-09-03", "2017-09-04", "by_hour")
        assert len(rows) == 24
    """

    conn_name_attr = "angus_conn_id"
    default_conn_name = "angus_default"
    conn_type = "angus"
    hook_name = "Angus.ai"

    #: When to repeat a request; None: four attempts. A subclass may replace it.
    retry_policy: ClassVar[RetryPolicy | None] = None

    #: The token cache; None: that of the process. A subclass may replace it.
    tokens: ClassVar[TokenCache | None] = None

    def __init__(
        self, angus_conn_id: str | int = default_conn_name, *, concurrency: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        conn_id = digits_as_text(angus_conn_id)
        if not isinstance(conn_id, str) or not is_name(conn_id):
            raise AngusRequestError(f"angus_conn_id: expected a connection ID, got {describe_argument(angus_conn_id)}.")
        self.angus_conn_id = conn_id
        self.concurrency = concurrency
        self._client: AngusClient | None = None

    def get_conn(self) -> AngusClient:
        """Return the hook's client, always the same one. No request is sent.

        :raises AngusAuthError: the connection does not exist, is incomplete or invalid.

        Example::

            client = AngusHook("angus_default").get_conn()
        """
        if self._client is None:
            self._client = self._create_client()
        return self._client

    def _create_client(self, **arguments: Any) -> AngusClient:
        from airflow_provider_angus.api.auth import maskable_part
        from airflow_provider_angus.api.client import AngusClient

        arguments = self._client_arguments() | arguments
        return AngusClient(self.settings(), on_token=lambda token: mask_secret(maskable_part(token)), **arguments)

    async def get_async_conn(self) -> AngusAsyncClient:
        """Return a client for the event loop of a triggerer. Reading the connection does not block the loop.

        :raises AngusAuthError: the connection does not exist, is incomplete or invalid.

        Example::

            async def fetch(interval):
                client = await AngusHook("angus_default").get_async_conn()
                return await client.get_entities("passing_by", interval, "by_hour")
        """
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        from airflow_provider_angus.api.async_client import AngusAsyncClient
        from airflow_provider_angus.api.auth import maskable_part
        from airflow_provider_angus.api.loop_state import yield_to_loop

        async def mask_token(token: str) -> None:
            await amask_secret(maskable_part(token))

        await yield_to_loop()
        try:
            connection = await get_async_connection(self.angus_conn_id, hook=self)
        except AirflowNotFoundException as error:
            raise AngusAuthError(f"{describe_missing(self.angus_conn_id)} {_TYPE}") from error
        self._check(connection)
        settings = self._read_settings(connection, await get_async_extra_dejson(connection))
        for value in settings.masked_values:
            await amask_secret(value)
        return AngusAsyncClient(settings, on_token=mask_token, **self._client_arguments())

    def iter_entities(
        self,
        metrics: str | Iterable[str],
        from_date: DateLike,
        to_date: DateLike,
        time: Time = "global",
        *,
        window: timedelta | None = None,
    ) -> Generator[Row, None, None]:
        """Yield the rows of ``[from_date, to_date)``, page by page.

        The result is known to be complete when the iteration ends. Do not publish rows before.

        :param metrics: names, or one text of names separated by commas.
        :param from_date: start, inclusive: ISO 8601 text, datetime or pendulum DateTime; without an offset it is UTC.
        :param to_date: end, exclusive: ISO 8601 text, datetime or pendulum DateTime; without an offset it is UTC.
        :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval).
        :param window: the length of one request's range, rounded down to whole buckets. Must be positive. None: the
            whole interval. Ignored for ``global``.
        :returns: flat dicts: ``stream``, ``bucket_start``, ``bucket_end`` (ISO 8601, UTC), then one column per number.
        :raises AngusError: any error of the tree in ``exceptions.py``; invalid arguments before any request.

        Example::

            rows = AngusHook("angus_default").iter_entities("interested", "2017-09-03", "2017-09-10", "by_day")
            print(max(row["interested"] for row in rows))
        """
        return self._iter_rows(self.get_conn().pages(metrics, explicit_interval(from_date, to_date), time, window))

    def _iter_rows(self, pages: EntityPages) -> Generator[Row, None, None]:
        count = 0
        with closing(self.get_conn().read(pages)) as read:
            for rows in read:
                count += len(rows)
                several = pages.page > 1 or not pages.finished
                # Log the first page, every tenth after it, and the last.
                if several and (pages.page % 10 == 1 or pages.page == pages.nb_of_pages):
                    self.log.info("Page %s of %s: %s rows so far", pages.page, pages.nb_of_pages, count)
                yield from rows

    def get_entities(
        self,
        metrics: str | Iterable[str],
        from_date: DateLike,
        to_date: DateLike,
        time: Time = "global",
        *,
        window: timedelta | None = None,
    ) -> list[Row]:
        """Return the rows of ``[from_date, to_date)`` as a list, all or none.

        :param metrics: names, or one text of names separated by commas.
        :param from_date: start, inclusive: ISO 8601 text, datetime or pendulum DateTime; without an offset it is UTC.
        :param to_date: end, exclusive: ISO 8601 text, datetime or pendulum DateTime; without an offset it is UTC.
        :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval).
        :param window: the length of one request's range, rounded down to whole buckets. Must be positive. None: the
            whole interval. Ignored for ``global``.
        :returns: flat dicts: ``stream``, ``bucket_start``, ``bucket_end`` (ISO 8601, UTC), then one column per number.
        :raises AngusError: any error of the tree in ``exceptions.py``; invalid arguments before any request.

        Example::

            (row,) = AngusHook("angus_default").get_entities(["gender"], "2017-09-03", "2017-09-04")
            print(row["gender_female"], row["gender_male"], row["gender_unknown"])
        """
        return list(self.iter_entities(metrics, from_date, to_date, time, window=window))

    def test_connection(self) -> tuple[bool, str]:
        """Get a new token, send one small query and report the result (the Test button of the UI).

        :returns: success, and a sentence for the user.

        Example::

            ok, message = AngusHook("angus_default").test_connection()
            assert ok, message
        """
        try:
            from airflow_provider_angus.api.auth import TokenCache

            now = datetime.now(UTC)
            with self._create_client(tokens=TokenCache()) as client:
                pages = client.pages("passing_by", Interval(now - timedelta(hours=1), now), "global")
                rows = [row for page in client.read(pages) for row in page]
        except AngusError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001 (the button must report every failure)
            return False, f"{type(error).__name__}: {error}"
        seen = f"passing_by in the last hour: {rows[0]['passing_by']}" if rows else "no data in the last hour"
        return True, f"Connection successful: stream {client.client_id!r} responded ({seen})."

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields for Airflow 2.11 to 3.1. Later versions read the provider info.

        Example::

            assert "client_id" in AngusHook.get_connection_form_widgets()
        """
        # Airflow 2 has these packages; Airflow 3 replaces them while it calls this method.
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import PasswordField, StringField

        def widget(field: dict[str, Any]) -> Any:
            secret = field["schema"].get("format") == "password"
            return (PasswordField if secret else StringField)(
                label=field["label"],
                description=field["description"],
                widget=BS3PasswordFieldWidget() if secret else BS3TextFieldWidget(),
            )

        return {name: widget(field) for name, field in CONNECTION_FIELDS.items()}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the form's standard fields for Airflow 2.11 to 3.1.

        Example::

            assert AngusHook.get_ui_field_behaviour()["hidden_fields"] == ["schema"]
        """
        return {key.replace("-", "_"): value for key, value in CONNECTION_FIELD_BEHAVIOUR.items()}

    def settings(self) -> Settings:
        """Return the connection's settings, validated.

        :raises AngusAuthError: the connection does not exist, is incomplete or invalid.

        Example::

            assert AngusHook("angus_default").settings().data_url == sandbox.url
        """
        try:
            with SUPERVISOR_LOCK:
                connection = self.get_connection(self.angus_conn_id)
                self._check(connection)
                # Airflow masks the values.
                extra = connection.extra_dejson
        except AirflowNotFoundException as error:
            raise AngusAuthError(f"{describe_missing(self.angus_conn_id)} {_TYPE}") from error
        settings = self._read_settings(connection, extra)
        for value in settings.masked_values:
            mask_secret(value)
        return settings

    def _check(self, connection: Any) -> None:
        if problem := describe_problem(self.angus_conn_id, connection):
            raise AngusAuthError(f"{problem} {_TYPE}")

    def _read_settings(self, connection: Any, extra: dict[str, Any]) -> Settings:
        from airflow_provider_angus.api.settings import read_settings

        given = {} if self.concurrency is None else {"concurrency": self.concurrency}
        return read_settings(connection, extra | given)

    def _client_arguments(self) -> dict[str, Any]:
        arguments = {"retry_policy": self.retry_policy, "tokens": self.tokens}
        return {name: value for name, value in arguments.items() if value is not None}
