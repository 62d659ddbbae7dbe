"""Data that arrives late or is corrected: changes of the sandbox's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def set_passing_by(**counts: int | None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a change of a response that sets ``passing_by`` of buckets, or drops them.

    :param counts: by the day and hour of the bucket, such as ``d19h07``; None drops the bucket.
    """

    def change(body: dict[str, Any]) -> dict[str, Any]:
        for key in list(body["entities"]):
            name = f"d{key[8:10]}h{key[11:13]}"
            if name not in counts:
                continue
            if counts[name] is None:
                del body["entities"][key]
            else:
                body["entities"][key]["passing_by"]["value"] = counts[name]
        return body | {"total_results": len(body["entities"])}

    return change
