"""Whoever else heals is given its time: until when nothing here starts what it is about to bring back."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from watchkeeper.domain import Hold
from watchkeeper.domain.situation import Situation


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
