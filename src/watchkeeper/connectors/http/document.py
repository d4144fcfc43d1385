"""Health documents: which parts of a service say that they are well, and which are not. Pure.

Understood are Spring Boot Actuator (`components`), the IETF draft health+json (`checks`), MicroProfile Health (a list
of checks), ASP.NET (`entries`, `results`), Terminus (`details`), and plain mappings of names to `ok` or an error.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

_WELL = frozenset({"ok", "up", "pass", "passing", "healthy", "working", "ready", "alive", "green", "true", "success"})
_ILL = frozenset({"down", "fail", "failed", "failing", "error", "unhealthy", "unavailable", "critical", "red", "false"})
_PARTS = ("components", "checks", "entries", "results", "details", "dependencies", "services")
_STATUS = ("status", "state", "healthy", "ok")
MOST = 20
"""Parts of one document that are told."""


def parts(document: Any) -> dict[str, bool]:
    """Each named part, and whether it says that it is well. What says neither is left out.

    >>> parts({"status": "DOWN", "components": {"db": {"status": "UP"}, "redis": {"status": "DOWN"}}})
    {'db': True, 'redis': False}
    >>> parts({"checks": {"cache": "ConnectionError: refused", "database": "ok"}})
    {'cache': False, 'database': True}
    """
    found: dict[str, bool] = {}
    for name, value in _named(document):
        well = _verdict(value)
        if well is not None and len(found) < MOST:
            found[name[:60]] = well
    return found


def _named(document: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(document, dict):
        return
    known = cast("dict[str, Any]", document)
    for key in _PARTS:
        inside = known.get(key)
        if isinstance(inside, dict):
            yield from cast("dict[str, Any]", inside).items()
        elif isinstance(inside, list):
            for one in cast("list[Any]", inside):
                if isinstance(one, dict) and "name" in one:
                    yield str(cast("dict[str, Any]", one)["name"]), one


def _verdict(value: Any) -> bool | None:
    """A part that is no word of health but says something else says what went wrong."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _WELL else None if word in ("", "warn", "warning", "degraded", "unknown") else False
    if isinstance(value, list):
        said = [_verdict(one) for one in cast("list[Any]", value)]
        return False if False in said else True if True in said else None
    if isinstance(value, Mapping):
        known = cast("Mapping[str, Any]", value)
        for key in _STATUS:
            if isinstance(known.get(key), bool):
                return bool(known[key])
            if isinstance(known.get(key), str):
                word = str(known[key]).lower()
                return True if word in _WELL else False if word in _ILL else None
    return None
