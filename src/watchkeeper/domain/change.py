"""Changes: what a resource is configured with, compared from look to look, and who changed it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from watchkeeper.domain.incident import Fix, StepRecord

NOTHING_CHANGED = (
    "No change was seen on its resources, or on what they need, in the 24 hours before it, as far as it was watched "
    "then."
)
STARTED = "started"
"""The setting that changes with every start."""
CREATED = "created"
"""The setting that says when the thing was made."""
_KINDS = {
    "image": "change.image",
    "image_id": "change.image",
    "memory_bytes": "change.limits",
    "memory_and_swap_bytes": "change.limits",
    "cpus": "change.limits",
    "pids": "change.limits",
    STARTED: "change.restart",
}
_WORDS = {
    "image_id": "image id",
    "config_hash": "compose configuration hash",
    "environment": "environment (hash)",
    "memory_bytes": "memory limit",
    "memory_and_swap_bytes": "memory and swap limit",
    "cpus": "CPU limit",
    "pids": "process limit",
    "restart_policy": "restart policy",
    "other_labels": "other labels (hash)",
    "options": "other options (hash)",
}
_BYTES = ("memory_bytes", "memory_and_swap_bytes", "maxmemory")
_SETTING = ("value", "server")
"""Where a step that records more than a plain figure has the setting itself."""
_LONGEST = 60
_BESIDE = timedelta(seconds=2)
"""How far the clocks of two machines may be apart for a start to count as that of our step."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a resource was configured with when it was last seen to differ. `id` is the resource's."""

    id: str
    incarnation: str
    values: Mapping[str, str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is another now."""

    setting: str
    before: str
    after: str

    @property
    def was(self) -> str:
        """What it was before, in words."""
        return _said(self.setting, self.before)

    @property
    def kind(self) -> str:
        """`change.image`, `change.limits`, `change.restart`, else `change.config`."""
        return _KINDS.get(self.setting, "change.config")

    @property
    def text(self) -> str:
        """In words.

        >>> Difference("maxmemory", "8388608", "12582912").text
        'maxmemory 8 MiB → 12 MiB'
        """
        if self.setting == STARTED:
            return "restarted"
        before, after = (_said(self.setting, value) for value in _apart(self.before, self.after))
        return f"{_WORDS.get(self.setting, self.setting)} {before} → {after}"


def _apart(before: str, after: str) -> tuple[str, str]:
    """Of long texts only where they differ, in whole words.

    >>> _apart("serve --port 80 " + "x" * 60, "serve --port 81 " + "x" * 60)
    ('… 80 …', '… 81 …')
    """
    if max(len(before), len(after)) <= _LONGEST:
        return before, after
    one, other = before.split(" "), after.split(" ")
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    most = min(len(one), len(other)) - start
    ended = zip(one[::-1], other[::-1], strict=False)
    end = min(most, next((i for i, (a, b) in enumerate(ended) if a != b), most))
    return _middle(one, start, end), _middle(other, start, end)


def _middle(words: list[str], start: int, end: int) -> str:
    kept = words[start : len(words) - end]
    return " ".join([*(["…"] if start else []), *kept, *(["…"] if end else [])])


def _said(setting: str, value: str) -> str:
    if setting in _BYTES and value.isdigit():
        return mebibytes(int(value)) if int(value) else "without limit"
    if not value:
        return "none"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"


def mebibytes(value: int) -> str:
    """
    >>> mebibytes(8 << 20), mebibytes(100_000_000)
    ('8 MiB', '95.4 MiB')
    """
    size = value / (1 << 20)
    return f"{size:.0f} MiB" if size == int(size) else f"{size:.1f} MiB"


def compare(before: Fingerprint, after: Fingerprint) -> tuple[Difference, ...]:
    """What is another now. A setting that only one of them knows is no change: it could not be read, or was not asked
    for. Of what was made anew, that it was made and started is not told besides."""
    made_anew = {STARTED, CREATED} if before.incarnation != after.incarnation else {CREATED}
    return tuple(
        Difference(name, before.values[name], value)
        for name, value in after.values.items()
        if name in before.values
        and before.values[name] != value
        and name not in made_anew
        and not (name == STARTED and not before.values[name])  # its first start
    )


def merged(before: Fingerprint | None, after: Fingerprint) -> Fingerprint:
    """The newer one, with what it could not read kept from the older."""
    if before is None or before.incarnation != after.incarnation:
        return after
    return replace(after, values={**before.values, **after.values})


def made_by(difference: Difference, at: datetime, fixes: Iterable[Fix], resources: frozenset[str]) -> Fix | None:
    """The fix of ours that made this change on one of `resources` (the thing, what carries it, what runs on it); `at`
    is when it was made, or seen."""
    for fix in fixes:
        for record in (*fix.steps, *fix.undo):
            if record.resource in resources and record.status in ("acting", "done", "failed", "unknown"):
                if difference.setting == STARTED:
                    if _started_it(record, at):
                        return fix
                elif _set_it(record, difference):
                    return fix
    return None


def _started_it(record: StepRecord, at: datetime) -> bool:
    """Only what records more than a plain figure starts something anew."""
    if record.started_at is None or not isinstance(record.before, Mapping):
        return False
    return record.started_at - _BESIDE <= at <= (record.finished_at or at) + _BESIDE


def _set_it(record: StepRecord, difference: Difference) -> bool:
    before: Any = record.before
    after: Any = record.after
    turned, wanted = (_plain(difference.before), _plain(difference.after)), _plain(difference.after)
    if after is not None and not isinstance(after, Mapping):
        return (_plain(before), _plain(after)) == turned
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        known = cast("tuple[Mapping[str, Any], Mapping[str, Any]]", (before, after))
        if any(tuple(_plain(one.get(key)) for one in known) == turned for key in _SETTING):
            return True
    return any(_plain(value) == wanted for value in record.arguments.values())


def _plain(value: Any) -> str:
    """
    >>> _plain(5.0) == _plain("5"), _plain(True) == _plain("on")
    (True, True)
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)
