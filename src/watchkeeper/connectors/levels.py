"""The level of a log line where its program has no format of its own."""

import json
import re
from typing import Any

from watchkeeper.domain import Level

_PLAIN = re.compile(r"^.{0,80}?\b(DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|CRIT|CRITICAL|FATAL|PANIC|EMERG|ALERT)\b")
_KEYS = ("level", "severity", "levelname", "lvl")
_LEVELS: dict[str, Level] = {
    **dict.fromkeys(("warn", "warning"), "WARNING"),
    **dict.fromkeys(("err", "error", "exception"), "ERROR"),
    **dict.fromkeys(("crit", "critical", "fatal", "panic", "emerg", "emergency", "alert"), "CRITICAL"),
}


def level_of(line: str) -> Level | None:
    """By the level that a plain line bears, a JSON line's `level`, or a traceback; None for what is not grave."""
    if line.startswith("{"):
        try:
            content: Any = json.loads(line)
        except ValueError:
            return None
        return _LEVELS.get(str(next((content[key] for key in _KEYS if key in content), "")).lower())
    if line.startswith("Traceback (most recent call last)") or "\nTraceback (most recent call last)" in line:
        return "ERROR"
    return _LEVELS.get(found[1].lower()) if (found := _PLAIN.match(line)) else None
