"""Pages of what is watched, however much that is: by id, or worst first."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import Query

from watchkeeper.domain import WatchkeeperError

T = TypeVar("T")
Key = tuple[Any, ...]
Limit = Annotated[int, Query(ge=1, le=2000, description="how many to a page")]
After = Annotated[str | None, Query(description="the `next` of the page before")]


class NoCursor(WatchkeeperError):
    """It is none of ours."""

    status = 422


def page(items: Iterable[T], key: Callable[[T], Key], after: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Those that come after the cursor, in the order of their keys, and the cursor of the next page where there is one.

    A cursor is the key of the last one given, so that what appears, goes or changes between two pages makes no other
    one appear twice or not at all. Raises NoCursor.
    """
    ordered = sorted(items, key=key)
    if after is not None:
        last = key_of(after)
        if ordered and [type(part) for part in key(ordered[0])] != [type(part) for part in last]:
            raise _none()
        ordered = [item for item in ordered if key(item) > last]
    given = list(islice(ordered, limit))
    return given, cursor_of(key(given[-1])) if len(ordered) > limit else None


def cursor_of(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def key_of(cursor: str) -> Key:
    try:
        made = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise _none() from None
    if not isinstance(made, list):
        raise _none()
    return tuple(made)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _none() -> NoCursor:
    return NoCursor("`after` is not a cursor.", "Take the `next` of the page before, or leave it out.")
