"""Reading the engine's answers, where what is empty may be absent, null or the year 1; and the journal's."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$")


def part(of: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The object at this path; empty where any of it is absent or null."""
    found: Any = of
    for key in path:
        found = cast(Mapping[str, Any], found).get(key) if isinstance(found, Mapping) else None
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def items(of: Mapping[str, Any], key: str) -> list[Any]:
    """The list of that name; empty where it is absent or null."""
    found = of.get(key)
    return cast(list[Any], found) if isinstance(found, list) else []


def moment(text: str | None) -> datetime | None:
    """RFC 3339 with nanoseconds, cut to microseconds; None for absent and for the year 1, which means never."""
    match = _STAMP.match(text or "")
    if not match or match[1].startswith("0001"):
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    return datetime.fromisoformat(f"{match[1]}.{(match[2] or '0')[:6]:0<6}{zone}").astimezone(UTC)


def journal_entry(line: bytes) -> tuple[datetime, str] | None:
    """Time and text of one entry as `journalctl --output=json` writes it; None for what is none."""
    try:
        entry: dict[str, Any] = json.loads(line)
        at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    except (ValueError, KeyError):
        return None
    text: Any = entry.get("MESSAGE") or ""
    return at, (text if isinstance(text, str) else os.fsdecode(bytes(text))).rstrip()
