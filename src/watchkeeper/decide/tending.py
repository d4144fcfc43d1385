"""Who else heals is given its time; what ended because somebody stopped what it needs waits until that is back."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from watchkeeper.domain import Hold, Reading
from watchkeeper.domain.situation import Situation

BECAUSE = timedelta(minutes=5)
"""Who ends at most this long after what it needs was stopped, ended because of it."""
SLACK = timedelta(seconds=2)
"""Of the times that hosts tell."""
LOOK_AGAIN = timedelta(seconds=15)


def holds(situation: Situation, at: datetime) -> Mapping[str, Hold]:
    """By resource: until when, and who is waited for. Its time begins when the fault was first seen."""
    found: dict[str, Hold] = {}
    for key, healers in situation.healers.items():
        near = {key, situation.resources[key].runs_on}
        near |= {other for other, resource in situation.resources.items() if resource.runs_on == key}
        began = [alert.pending_at for alert in situation.firing if alert.resource in near]
        if not began:
            continue
        reading = situation.readings.get(key)
        waited = [healer for healer in healers if healer.waited_for(reading)]
        patient = max(waited, key=lambda healer: healer.wait, default=None)
        if patient is None:
            continue
        until = min(began) + timedelta(seconds=patient.wait)
        if until > at:
            found[key] = Hold(until, f"{patient.name} is given {patient.wait:g} s to bring it back")
    return found


def bereft(situation: Situation, at: datetime) -> Mapping[str, Hold]:
    """By resource that ended because what it needs was stopped on purpose: started now it would only end again."""
    return {
        key: Hold(at + LOOK_AGAIN, f"it ended when {slug}, which it needs, was stopped on purpose")
        for key in situation.resources
        if (slug := next(_stopped_below(situation, key), None)) is not None
    }


def _stopped_below(situation: Situation, key: str) -> Iterator[str]:
    """Slugs of what it, or what runs on it, needs, and that was stopped on purpose before it ended."""
    mine = {other for other, resource in situation.resources.items() if key in (other, resource.runs_on)}
    ended = next((when for one in mine if (when := _ended(situation.readings.get(one))) is not None), None)
    needed = dict.fromkeys(up for one in mine for up in situation.resources[one].depends_on if up not in mine)
    for up in needed:
        reading = situation.readings.get(up)
        stopped = _ended(reading)
        if reading is None or not reading.off or ended is None or stopped is None:
            continue
        if stopped - SLACK <= ended <= stopped + BECAUSE:
            yield situation.resources[up].slug


def _ended(reading: Reading | None) -> datetime | None:
    """When what a reading is of ended; None while it runs, and where that is not known."""
    if reading is None:
        return None
    seconds = reading.metrics.get("ended_seconds") or reading.metrics.get("host_ended_seconds")
    return reading.at - timedelta(seconds=seconds) if seconds else None
