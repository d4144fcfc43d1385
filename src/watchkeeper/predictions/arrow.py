"""PyArrow, where it is installed: it is an extra, for profiles need none of it."""

from functools import cache
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from watchkeeper.domain import WatchkeeperError

Table = Any
"""A `pyarrow.Table`."""


class NotInstalled(WatchkeeperError):
    """Records and labels are Arrow and Parquet."""

    status = HTTPStatus.NOT_IMPLEMENTED.value


def there() -> bool:
    return find_spec("pyarrow") is not None


@cache
def part(name: str) -> Any:
    """`pyarrow`, or one of its modules, loaded when it is first needed. Raises NotInstalled."""
    try:
        return import_module(f"pyarrow.{name}" if name else "pyarrow")
    except ImportError as problem:
        raise NotInstalled(
            f"Records and labels need PyArrow, which is not installed here ({problem}).",
            "pip install 'watchkeeper[models]', then start again.",
        ) from None
