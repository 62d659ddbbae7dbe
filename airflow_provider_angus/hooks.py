"""``AngusHook``: an Airflow connection -> a client that has its token."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret

from airflow_provider_angus import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS
from airflow_provider_angus.compat import amask_secret
from airflow_provider_angus.exceptions import AngusAuthError, AngusError
from airflow_provider_angus.interval import Interval, explicit_interval

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from airflow_provider_angus.async_client import AngusAsyncClient
    from airflow_provider_angus.client import AngusClient
    from airflow_provider_angus.connection import AirflowConnection, Settings
    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import DateLike
    from airflow_provider_angus.protocol import Pages

#: How many pages go by from one line in the log to the next.
_PAGES_A_LINE = 10


class AngusHook(BaseHook):
    """One stream's entities, with the credentials of an Airflow connection; the JWT is its own affair.

    The token is shared by everything in the process that has the same credentials. It is kept until 60 s before its
    ``exp``, one that cannot be read until the API refuses it.

    :param angus_conn_id: an Airflow connection of type ``angus``; one connection is one stream.
    :param concurrency: how many pages of one question are asked for at once at most, 1: one by one; None: as the
        connection says, or 4.
    """

    conn_name_attr = "angus_conn_id"
    default_conn_name = "angus_default"
    conn_type = "angus"
    hook_name = "Angus.ai"

    def __init__(
        self, angus_conn_id: str = default_conn_name, *, concurrency: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.angus_conn_id = angus_conn_id
        self.concurrency = concurrency
        self._client: AngusClient | None = None

    def get_conn(self) -> AngusClient:
        """Return the client of the connection's stream, one for the life of this hook; nothing is asked yet.

        :raises AngusAuthError: the connection does not exist, is incomplete or holds what cannot be used.
        """
        if self._client is None:
            from airflow_provider_angus.client import AngusClient

            self._client = AngusClient(self.settings(), on_token=_mask)
        return self._client

    async def get_async_conn(self) -> AngusAsyncClient:
        """Return a client for the event loop of a triggerer; the connection is read without blocking it.

        :raises AngusAuthError: the connection does not exist, is incomplete or holds what cannot be used.
        """
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        from airflow_provider_angus.async_client import AngusAsyncClient, turn

        await turn()
        try:
            connection = await get_async_connection(self.angus_conn_id, hook=self)
        except AirflowNotFoundException as error:
            raise self._not_found() from error
        settings = self._read(connection, await get_async_extra_dejson(connection))
        for text in settings.to_mask:
            await amask_secret(text)
        return AngusAsyncClient(settings, on_token=_amask)

    def iter_entities(
        self,
        metrics: str | Iterable[str],
        from_date: DateLike,
        to_date: DateLike,
        time: str = "global",
        *,
        window: timedelta | None = None,
    ) -> Generator[Row, None, None]:
        """Yield the rows of ``[from_date, to_date)``, page by page as they are consumed.

        That the answer was whole is known when the iteration ends: whoever stores rows must not publish them before.

        :param metrics: names of metrics, or one text with commas between them.
        :param from_date: ISO 8601 text, datetime or pendulum DateTime; without an offset it is UTC.
        :param to_date: the same; buckets that start at this instant are left out.
        :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval).
        :param window: how much of the interval is asked for at a time, in whole buckets; None: all of it, and shorter
            windows where the API says that this is too long. Of no effect for ``global``.
        :returns: flat dicts, see :func:`airflow_provider_angus.entities.read_row`.
        :raises AngusError: see the tree in ``exceptions.py``; wrong metrics, time, window or dates before any call.
        """
        pages = self.get_conn().pages(metrics, explicit_interval(from_date, to_date), time, window)
        return self._rows(pages)

    def _rows(self, pages: Pages) -> Generator[Row, None, None]:
        count, too_long = 0, None
        with closing(self.get_conn().read(pages)) as read:
            for rows in read:
                if pages.too_long is not too_long:
                    too_long = pages.too_long
                    self.log.warning("Asking for parts of the interval, as window=timedelta(...) does: %s", too_long)
                count += len(rows)
                several = pages.page > 1 or not pages.finished
                if several and (pages.page % _PAGES_A_LINE == 1 or pages.page == pages.nb_of_pages):
                    self.log.info("Page %s of %s: %s rows so far", pages.page, pages.nb_of_pages, count)
                yield from rows

    def get_entities(
        self,
        metrics: str | Iterable[str],
        from_date: DateLike,
        to_date: DateLike,
        time: str = "global",
        *,
        window: timedelta | None = None,
    ) -> list[Row]:
        """Return the rows of ``[from_date, to_date)`` as a list, whole or not at all.

        :param metrics: see :meth:`iter_entities`.
        :param from_date: the same.
        :param to_date: the same.
        :param time: the same.
        :param window: the same.
        :returns: the same rows.
        :raises AngusError: for the same reasons.
        """
        return list(self.iter_entities(metrics, from_date, to_date, time, window=window))

    def test_connection(self) -> tuple[bool, str]:
        """Get a new token, make one small data call and say in a sentence how that went (the UI's Test button)."""
        try:
            from airflow_provider_angus.client import AngusClient
            from airflow_provider_angus.tokens import TokenCache

            now = datetime.now(UTC)
            with AngusClient(self.settings(), tokens=TokenCache(), on_token=_mask) as client:
                pages = client.pages("passing_by", Interval(now - timedelta(hours=1), now), "global")
                rows = [row for page in client.read(pages) for row in page]
        except AngusError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001 (the button must answer whatever happens; this is the one place)
            return False, f"{type(error).__name__}: {error}"
        stream = client.stream.credentials.client_id
        seen = f"passing_by in the last hour: {rows[0]['passing_by']}" if rows else "no data of the last hour yet"
        return True, f"All well: the console gave a token and stream {stream!r} answered ({seen})."

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields for Airflow 2.11 to 3.1; later ones read the provider info itself."""
        # These come with Airflow 2; Airflow 3 has stand-ins for them, without types.
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
        """Return what the form's standard fields are called for Airflow 2.11 to 3.1."""
        return {key.replace("-", "_"): value for key, value in CONNECTION_FIELD_BEHAVIOUR.items()}

    def settings(self) -> Settings:
        """Return what the connection says, checked.

        :returns: see :class:`airflow_provider_angus.connection.Settings`.
        :raises AngusAuthError: the connection does not exist, is incomplete or holds what cannot be used.
        """
        try:
            connection = self.get_connection(self.angus_conn_id)
        except AirflowNotFoundException as error:
            raise self._not_found() from error
        settings = self._read(connection, connection.extra_dejson)
        # Airflow masks a connection's password itself, where it reads it.
        for text in settings.to_mask:
            mask_secret(text)
        return settings

    def _read(self, connection: AirflowConnection, extra: object) -> Settings:
        from airflow_provider_angus.connection import read_settings

        given = {} if self.concurrency is None else {"concurrency": self.concurrency}
        return read_settings(connection, (extra if isinstance(extra, dict) else {}) | given)

    def _not_found(self) -> AngusAuthError:
        return AngusAuthError(f"There is no connection {self.angus_conn_id!r}: create it with the type Angus.ai.")


def _mask(token: str) -> None:
    from airflow_provider_angus.tokens import secret_part

    mask_secret(secret_part(token))


async def _amask(token: str) -> None:
    from airflow_provider_angus.tokens import secret_part

    await amask_secret(secret_part(token))
