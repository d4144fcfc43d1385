"""The levels of Redis' own log lines."""

import re

from watchkeeper.domain import Level

_LINE = re.compile(r"^\d+:[XCSM] \d+ \w+ \d{4} [\d:.]+ (?P<mark>[.\-*#]) (?P<text>.*)$")
_GRAVE = re.compile(
    r"can't save|out of memory|oom |fatal|panic|crashed|bug report|misconf|write error|no space left|terminating|"
    r"failed|failure|corrupt|i/o error|asynchronous aof fsync is taking too long",
    re.IGNORECASE,
)
_CRITICAL = re.compile(r"fatal|panic|crashed|bug report|out of memory", re.IGNORECASE)


def level(line: str) -> Level | None:
    """`#` marks a warning in Redis' own format; some of them are errors by what they say."""
    if not (match := _LINE.match(line)):
        return "CRITICAL" if "REDIS BUG REPORT" in line else None
    text = match["text"]
    if _CRITICAL.search(text):
        return "CRITICAL"
    if match["mark"] == "#":
        return "ERROR" if _GRAVE.search(text) else "WARNING"
    return "ERROR" if "can't save" in text.lower() else None
