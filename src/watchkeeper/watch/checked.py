"""What a connector hands over, made safe: a figure that is none never reaches a rule, the store or a person as one.

What is taken out is said: as the error of the reading, which then counts as no data.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from watchkeeper.domain import Probe, Reading, Resource

LARGEST = 1e18
"""Nothing we measure is larger; what is comes from a wrong unit, an overflow or memory that was never set."""
NAMES = 1000
"""Metrics, and facts, of one reading."""
LONGEST = 4096
"""Characters kept of one text; what is cut is said in it."""
LONGEST_NAME = 512
_NEVER_NEGATIVE = ("_bytes", "_seconds", "_ratio", "_per_second", "_total")


class Garbage(Exception):
    """A connector gave something that is not what its contract says."""


def reading(found: Any, resource: str, at: datetime, seconds: float) -> Reading:
    """The look as it may be used. Raises Garbage for what is no reading at all."""
    if not isinstance(found, Reading):
        raise Garbage(f"read gave {_what(found)} instead of a Reading")
    wrong: list[str] = []
    metrics = _metrics(found.metrics, wrong)
    facts = _facts(found.facts, wrong)
    configuration = None if found.configuration is None else _facts(found.configuration, wrong)
    error = found.error if found.error is None else text(found.error)
    if wrong:
        said = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        error = f"{error}; and {said}" if error else f"figures that are none: {said}"
    took = found.seconds
    if type(took) is not float or not 0.0 <= took <= 2 * seconds + 1.0:
        took = seconds
    age = found.age if type(found.age) is float and 0.0 <= found.age <= LARGEST else 0.0
    return Reading(resource, at, took, metrics, facts, text(found.state), error, bool(found.off), configuration, age)


def probe(found: Any, resource: str, at: datetime, seconds: float) -> Probe:
    """Raises Garbage for what is no probe at all."""
    if not isinstance(found, Probe) or found.ok not in (True, False, None):
        raise Garbage(f"probe gave {_what(found)} instead of a Probe")
    error = found.error if found.error is None else text(found.error)
    return Probe(resource, at, found.ok, seconds, text(found.what), error)


def resource(found: Any) -> Resource:
    """Raises Garbage for what cannot be watched under its name."""
    if not isinstance(found, Resource):
        raise Garbage(f"discover gave {_what(found)} instead of a Resource")
    parts: list[str] = found.id.split("/", 3) if _is_text(found.id) else []
    if len(parts) != 4 or not all(parts) or len(found.id) > LONGEST_NAME or text(found.id) != found.id:
        raise Garbage(f"discover gave an id that is none (provider/environment/kind/name): {text(found.id)[:80]!r}")
    if not _is_text(found.slug) or not 0 < len(found.slug) <= LONGEST_NAME or text(found.slug) != found.slug:
        raise Garbage(f"discover gave {text(found.id)} a slug that is none: {text(found.slug)[:80]!r}")
    return found


def text(said: Any) -> str:
    """What can be stored and shown of it: a text of bounded length that every database takes."""
    said = said if isinstance(said, str) else repr(said)[: LONGEST + 1]
    if len(said) > LONGEST:
        said = f"{said[:LONGEST]} … ({len(said) - LONGEST} more characters were cut)"
    if not said.isascii():
        said = said.encode("utf-8", "replace").decode()
    return said.replace("\x00", "\N{REPLACEMENT CHARACTER}") if "\x00" in said else said


def _metrics(found: Any, wrong: list[str]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, value in _items(found, "metrics", wrong):
        if type(value) is float and 0.0 <= value <= LARGEST and type(name) is str and len(name) <= LONGEST_NAME:
            metrics[name] = value
            continue
        if problem := _problem(name, value):
            wrong.append(problem)
        else:
            metrics[name] = float(value)
    return metrics


def _problem(name: Any, value: Any) -> str | None:
    """Why a metric cannot be used, or None."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME or text(name) != name:
        return f"a metric has {_what(name)[:80]} as its name"
    if not isinstance(value, int | float):
        return f"{name} is {_what(value)}"
    if value != value:
        return f"{name} is not a number (NaN)"
    if not -LARGEST <= value <= LARGEST:
        return f"{name} is beyond measure ({value:.3g})" if isinstance(value, float) else f"{name} is beyond measure"
    if value < 0 and name.endswith(_NEVER_NEGATIVE):
        return f"{name} is negative ({value:.3g})"
    return None


def _facts(found: Any, wrong: list[str]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for name, value in _items(found, "facts", wrong):
        if not isinstance(name, str) or len(name) > LONGEST_NAME or text(name) != name:
            wrong.append(f"a fact has {_what(name)[:80]} as its name")
        else:
            facts[name] = text(value)
    return facts


def _items(found: Any, what: str, wrong: list[str]) -> list[tuple[Any, Any]]:
    if not isinstance(found, Mapping):
        wrong.append(f"its {what} are {_what(found)}")
        return []
    items = list(cast("Mapping[Any, Any]", found).items())
    if len(items) > NAMES:
        wrong.append(f"it has {len(items)} {what}, of which {NAMES} are kept")
    return items[:NAMES]


def _is_text(found: Any) -> bool:
    return isinstance(found, str)


def _what(found: Any) -> str:
    """A value by its type, and shortly itself."""
    try:
        shown = repr(found)[:40]
    except Exception:
        shown = "…"
    return f"{type(found).__name__} {shown}"
