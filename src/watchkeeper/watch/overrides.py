"""The shipped rules, as the user's configuration changes them."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from watchkeeper.connectors.definitions import seconds
from watchkeeper.domain import Condition, ConfigurationError, Reading, Rule
from watchkeeper.settings import RuleOverride, Settings


def overridden(
    rules: Sequence[Rule], settings: Settings, samples: Mapping[str, Reading] | None = None
) -> tuple[Rule, ...]:
    """The shipped rules with the user's changes, each tried against the sample of its kind.

    Raises ConfigurationError, which names the rule: one that could never fire is worse than none.
    """
    known = {rule.id for rule in rules}
    for name in settings.rules:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"rules: there is no rule `{name}`" + (f" (did you mean `{near[0]}`?)." if near else "."),
                "GET /api/rules lists them.",
            )
    return tuple(
        _changed(rule, settings.rules.get(rule.id), (samples or {}).get(rule.kind))
        for rule in rules
        if rule.id not in settings.rules or settings.rules[rule.id].enabled
    )


def _changed(rule: Rule, said: RuleOverride | None, sample: Reading | None) -> Rule:
    if said is None:
        return rule
    try:
        changes: Mapping[str, Any] = {
            "when": Condition(said.when) if said.when else None,
            "clear": Condition(said.clear) if said.clear else None,
            "for_seconds": seconds(said.for_) if said.for_ is not None else None,
            "severity": said.severity,
        }
        for condition in (changes["when"], changes["clear"]):
            if condition is not None and sample is not None:
                condition.check(sample.scope())
    except ConfigurationError as problem:
        raise ConfigurationError(f"rules, {rule.id}: {problem.what}", problem.next_step) from None
    return replace(rule, **{key: value for key, value in changes.items() if value is not None})
