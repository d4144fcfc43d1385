"""Numbers of bytes as people write them."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_SIZE = re.compile(r"(?i)^\s*(\d+(?:\.\d+)?)\s*([kmgt])i?b?\s*$")
_POWERS = {"k": 10, "m": 20, "g": 30, "t": 40}


def plain(value: Any) -> Any:
    """`64mb`, `1.5GiB` or `512k` as a number of bytes, in powers of 1024; anything else as it is.

    >>> plain("64mb"), plain("1.5GiB"), plain(7), plain("many")
    (67108864, 1610612736, 7, 'many')
    """
    match = _SIZE.match(value) if isinstance(value, str) else None
    return int(float(match[1]) * (1 << _POWERS[match[2].lower()])) if match else value


@dataclass(frozen=True)
class InBytes:
    """Marks an argument of a tool that counts bytes: `Annotated[int, Ge(1 << 20), InBytes()]`. It may be given as
    people write it, and is shown so where a person decides."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(plain, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "unit": "bytes"}


def readable(number: float) -> str:
    """
    >>> readable(161061273), readable(512)
    ('153.6 MiB', '512 B')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
