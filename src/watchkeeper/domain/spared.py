"""What a model is not to be blamed for."""

from collections.abc import Iterable, Sequence

from watchkeeper.domain.rule import Alert

MODEL = "model"
"""The kind of resource that a model is."""


def spared(roots: Sequence[str], alerts: Iterable[Alert]) -> tuple[str, ...]:
    """Of an incident with these roots a sentence for each model that got worse because of one of them: what is to be
    mended is there, and a retraining would mend nothing. Ids of resources throughout.
    """
    if not roots or all(_kind(root) == MODEL for root in roots):
        return ()
    rules: dict[str, list[str]] = {}
    for alert in sorted(alerts, key=lambda one: one.pending_at):
        if _kind(alert.resource) == MODEL and alert.resource not in roots and not alert.own_cause and alert.firing_at:
            rules.setdefault(_name(alert.resource), []).append(alert.rule)
    cause = " and ".join(_name(root) for root in roots if _kind(root) != MODEL)
    return tuple(
        f"The model {model} ({', '.join(dict.fromkeys(told))}) suffers from what is wrong with {cause}: it is {cause} "
        f"that is to be mended; nothing here speaks for retraining {model}."
        for model, told in rules.items()
    )


def _kind(resource: str) -> str:
    return resource.split("/")[2]


def _name(resource: str) -> str:
    return resource.split("/", 3)[3]
