"""What a user would write in a PythonOperator: a loop that checks nothing and retries nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def rows(plan: Mapping[str, Any], metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of an interval by the hour.

    :param plan: ``url`` and ``login`` of the sandbox, ``from_date`` and ``to_date`` as ISO 8601 text.
    """
    login = plan["login"]
    credentials = {"username": login["login"], "access_token": login["password"], **login["extra"]}
    token = requests.post(f"{plan['url']}/api-token-authstream/", json=credentials, timeout=30).json()["token"]
    params = {"metrics": ",".join(metrics), "time": "by_hour"}
    params |= {name: plan[name] for name in ("from_date", "to_date")}
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        page, pages = 0, 1
        while page < pages:
            page += 1
            body = session.get(f"{plan['url']}/api/1/entities", params=params | {"page": page}, timeout=30).json()
            pages = body["nb_of_pages"]
            for start, bucket in body["entities"].items():
                # The bucket that starts at the end belongs to the next run.
                if start < plan["to_date"]:
                    yield _flatten(start, bucket)


def _flatten(start: str, bucket: dict[str, Any]) -> dict[str, Any]:
    numbers = {f"{metric}_{key}": value for metric, values in bucket.items() for key, value in values.items()}
    return {"bucket_start": start, **numbers}
