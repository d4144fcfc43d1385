"""What somebody stopped on purpose is left alone, and is named where what needs it fails."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Diagnosis, Evidence, Reading, Resource
from watchkeeper.domain.spoken import spoken
from watchkeeper.watch.correlation import place, ties
from watchkeeper.watch.watcher import Watcher

SLACK = timedelta(seconds=2)
"""Of the times that hosts tell."""
BECAUSE = timedelta(minutes=5)
"""What fails at most this long after what it needs was stopped fails because of it; later, it may."""
_ENDED = ("ended_seconds", "host_ended_seconds", "restarting", "crashes")
AUTHOR = "watchkeeper/stopped"
TO_DO = "Start it again once it may run: until then what needs it goes on failing."


def stopped_cause(
    root: str, alerts: Sequence[Alert], watchers: Mapping[str, Watcher], within: timedelta = timedelta.max
) -> Diagnosis | None:
    """What `root` needs, directly or not, and was stopped on purpose at most `within` before these alerts began; None
    where there is no such thing, or one of them has its cause in the thing itself, unless that names what was stopped
    (a configuration with a name that is no more). What runs in a container is named rather than the container."""
    resources = {key: watcher.resource for key, watcher in watchers.items()}
    began = min((alert.pending_at for alert in alerts), default=None)
    if root not in resources or began is None:
        return None
    needed = {up for one in place(root, resources) for up in ties(resources).needs(one)} - place(root, resources)
    below = needed & resources.keys()  # what is needed is not always watched (`only`)
    stopped = {key: at for key in below if (at := _stopped(watchers[key])) is not None and at <= began + SLACK}
    stopped = {key: at for key, at in stopped.items() if began - at <= within}
    if any(alert.own_cause for alert in alerts):
        stopped = {key: at for key, at in stopped.items() if _names(watchers[root].last, resources[key].name)}
    stopped = {key: at for key, at in stopped.items() if not _carries(key, stopped, resources)}
    if not stopped:
        return None
    last = max(stopped, key=lambda key: stopped[key])
    names = [resources[key].slug for key in sorted(stopped, key=lambda key: stopped[key], reverse=True)]
    name, were = resources[root].slug, "was" if len(names) == 1 else "were"
    evidence = [Evidence(a.resource, a.firing_at or a.pending_at, f"{a.rule}: {a.why}") for a in alerts]
    for key, at in stopped.items():
        before = spoken(max(0.0, (began - at).total_seconds()))
        text = f"{resources[key].slug} was stopped on purpose, {before} before the first alert"
        evidence.append(Evidence(key, at, text))
    cause = f"{', '.join(names)} {were} stopped on purpose, and {name} needs {'it' if len(names) == 1 else 'them'}."
    rules = ", ".join(dict.fromkeys(alert.rule for alert in alerts))
    reasoning = f"what is stopped on purpose is left alone; {rules} came after it"
    return Diagnosis(last, cause, reasoning, tuple(evidence), (), None, AUTHOR)


def given_up(root: str, alerts: Sequence[Alert], watchers: Mapping[str, Watcher]) -> Diagnosis | None:
    """The same, where nothing that could be done to `root` would help: it runs, and fails since it was bereft. What
    ended because of that is started again by itself once it may be, and is no matter of this."""
    last = watchers[root].last if root in watchers else None
    ended = last is not None and any(last.metrics.get(name) for name in _ENDED)
    return None if ended else stopped_cause(root, alerts, watchers, BECAUSE)


def _stopped(watcher: Watcher) -> datetime | None:
    """When it was stopped on purpose; None where it was not, or that is not known."""
    last = watcher.last
    if last is None or not last.off:
        return None
    on_purpose = last.metrics.get("stopped_on_purpose") or last.metrics.get("host_stopped_on_purpose")
    seconds = last.metrics.get("ended_seconds") or last.metrics.get("host_ended_seconds")
    return last.at - timedelta(seconds=seconds) if on_purpose and seconds else None


def _names(reading: Reading | None, name: str) -> bool:
    """Whether an error that a look tells of names it."""
    told = [text for fact, text in reading.facts.items() if fact.endswith("_error")] if reading is not None else []
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) for text in told)


def _carries(key: str, stopped: Mapping[str, datetime], resources: Mapping[str, Resource]) -> bool:
    return any(resources[one].runs_on == key for one in stopped)
