"""The rules in force: those of the connectors and checks, as the configuration changes them, and as somebody has
changed them while it runs, for everything or for one resource. Rows, so that they hold after a restart."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from watchkeeper.domain import Condition, ConfigurationError, Event, NotFound, Reading, Rule, Said
from watchkeeper.store import Store

SETTING = "rules"
CHANGED = "rule.changed"
EVERYTHING = ""
"""In the place of a resource's id."""
LONGEST = 7 * 86_400.0
"""Seconds of a `for`: what is to be waited for longer is never told."""
_COMPARISON = re.compile(r"\b(reading)\.(\w+)\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)?)(?![\w.]|\s*[-+*/%])")


@dataclass(frozen=True, slots=True)
class Change:
    """What is another than the rule says; None: as it says."""

    when: str | None = None
    clear: str | None = None
    for_seconds: float | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    enabled: bool = True

    @property
    def text(self) -> str:
        """For a person, after the rule's name."""
        if not self.enabled:
            return "off"
        said = [f"when {self.when}"] if self.when else []
        said += [f"clear {self.clear}"] if self.clear else []
        said += [f"for {self.for_seconds:g} s"] if self.for_seconds is not None else []
        return ", ".join([*said, *([f"severity {self.severity}"] if self.severity else [])]) or "as it is"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """That somebody changed a rule, for one resource, by its id, or for everything (empty)."""

    rule: str
    resource: str
    change: Change
    said: Said


class Rulebook:
    """`samples`: a reading of each kind, against which a condition is tried. `altered` is called once others hold."""

    def __init__(self, rules: Sequence[Rule], samples: Mapping[str, Reading], store: Store) -> None:
        self.configured = tuple(rules)
        self._samples = samples
        self._store = store
        self._kept: Any = None
        self.adjustments: dict[tuple[str, str], Adjustment] = {}
        self.rules: tuple[Rule, ...] = self.configured
        """Those that hold for everything that has no change of its own."""
        self.altered: Callable[[], object] = lambda: None

    def rule(self, name: str) -> Rule:
        """As configured. Raises NotFound."""
        for rule in self.configured:
            if rule.id == name:
                return rule
        near = difflib.get_close_matches(name, [rule.id for rule in self.configured], n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise NotFound(f"There is no rule {name!r}{hint}", "`watchkeeper rules` lists them.")

    def recommended(self, name: str) -> str:
        """What a person is told to do about what it tells; empty where nothing is known."""
        known = next((rule for rule in self.rules if rule.id == name), None)
        return known.recommend if known else ""

    def has_runbook(self, rule: str) -> bool:
        """Whether anything is known to be done about what a rule says."""
        return any(known.id == rule and known.runbook for known in self.configured)

    def of(self, resource: str, kinds: set[str]) -> list[Rule]:
        """Those that hold for a resource, by its id."""
        return [now for rule in self.configured if rule.kind in kinds and (now := self._adjusted(rule, resource))]

    def _adjusted(self, rule: Rule, resource: str) -> Rule | None:
        """None where it is off."""
        found = self.adjustments.get((rule.id, resource)) or self.adjustments.get((rule.id, EVERYTHING))
        return _changed(rule, found.change) if found else rule

    def checked(self, rule: Rule, change: Change, threshold: float | None = None) -> Change:
        """The change with `threshold` in its conditions, tried as at load. Raises ConfigurationError."""
        if threshold is not None:
            change = replace(change, **_at(rule, threshold))
        if change.for_seconds is not None and not 0 <= change.for_seconds <= LONGEST:
            raise ConfigurationError(
                f"`for` is {change.for_seconds:g} s; it may be up to seven days.", "Switch the rule off instead."
            )
        sample = self._samples.get(rule.kind)
        for source in filter(None, (change.when, change.clear)):
            condition = Condition(source)
            if sample is not None:
                condition.check(sample.scope())
        return change

    async def load(self) -> None:
        """What the store has: after a start, and now and then where other executors may have changed it."""
        kept: list[dict[str, Any]] = await self._store.setting(SETTING) or []
        if kept != self._kept:
            self._hold(kept)

    async def change(self, rule: str, resource: str, change: Change | None, said: Said, name: str) -> bool:
        """Change it (None: as configured); whether that is another than before. `name`: what the resource is called."""
        async with self._store.transaction() as transaction:
            kept: list[dict[str, Any]] = await self._store.setting(SETTING) or []
            mine = next((one for one in kept if (one["rule"], one["resource"]) == (rule, resource)), None)
            wanted = asdict(change) if change else None
            if (mine["change"] if mine else None) == wanted:
                return False
            kept = [one for one in kept if one is not mine]
            if wanted is not None:
                by = {"by": said.by, "at": said.at.isoformat(), "note": said.note}
                kept.append({"rule": rule, "resource": resource, "change": wanted, **by})
            await transaction.set(SETTING, kept)
            about = f" for {name}" if resource else ""
            to = f"to {change.text}" if change else "as configured"
            text = f"{said.told.partition(':')[0]} sets the rule {rule}{about} {to}" + (
                f": {said.note}" if said.note else ""
            )
            data: dict[str, object] = {"from": mine["change"] if mine else None, "to": wanted, "note": said.note}
            await transaction.emit(Event(CHANGED, rule, text, said.at, said.by, resource=resource or None, data=data))
        self._hold(kept)
        return True

    async def before(self, rule: str, resource: str) -> Change | None:
        """What held before the last change. Raises NotFound where there was none."""
        told = await self._store.events(kinds=(CHANGED,), subject=rule, limit=200, newest=True)
        for event in reversed(told):
            if (event.resource or EVERYTHING) == resource:
                was: Any = event.data["from"]
                return Change(**was) if was else None
        raise NotFound(f"The rule {rule} was not changed there.", "`watchkeeper rules show` tells what was changed.")

    def _hold(self, kept: list[dict[str, Any]]) -> None:
        self._kept = kept
        self.adjustments = {
            (one["rule"], one["resource"]): Adjustment(
                one["rule"],
                one["resource"],
                Change(**one["change"]),
                Said(one["by"], datetime.fromisoformat(one["at"]), one["note"]),
            )
            for one in kept
        }
        self.rules = tuple(now for rule in self.configured if (now := self._adjusted(rule, EVERYTHING)))
        self.altered()


def _changed(rule: Rule, change: Change) -> Rule | None:
    if not change.enabled:
        return None
    return replace(
        rule,
        when=Condition(change.when) if change.when else rule.when,
        clear=Condition(change.clear) if change.clear else rule.clear,
        for_seconds=rule.for_seconds if change.for_seconds is None else change.for_seconds,
        severity=change.severity or rule.severity,
        threshold=_threshold(rule, change.when) if change.when else rule.threshold,
    )


def _threshold(rule: Rule, when: str) -> float | None:
    """The figure to show its metric against."""
    found = [float(one[4]) for one in _COMPARISON.finditer(when) if one[2] == rule.metric]
    return found[0] if len(found) == 1 else None


def _at(rule: Rule, threshold: float) -> dict[str, str]:
    """Its conditions with another threshold; where it clears keeps its share of it. Raises ConfigurationError."""
    found = [one for one in _COMPARISON.finditer(rule.when.source) if rule.metric in ("", one[2])]
    if len(found) != 1 or not float(found[0][4]):
        about = f" of {rule.metric}" if rule.metric else ""
        raise ConfigurationError(
            f"{rule.id} has not just one comparison{about} with a number: {rule.when.source}",
            "Give `when` (and `clear`).",
        )
    (one,) = found
    if one[2].endswith("_ratio") and threshold > 1 >= float(one[4]):
        raise ConfigurationError(
            f"{one[2]} is a share between 0 and 1; {threshold:g} is more than all of it.",
            f"For {threshold:g} %: {threshold / 100:g}. To switch the rule off: `--off`.",
        )
    made = {"when": _with(rule.when.source, one, threshold)}
    clears = [other for other in _COMPARISON.finditer(rule.clear.source) if other[2] == one[2]] if rule.clear else []
    if rule.clear is not None and len(clears) == 1:
        share = float(clears[0][4]) / float(one[4])
        made["clear"] = _with(rule.clear.source, clears[0], round(threshold * share, 6))
    return made


def _with(source: str, comparison: re.Match[str], number: float) -> str:
    return source[: comparison.start(4)] + repr(float(number)) + source[comparison.end(4) :]
