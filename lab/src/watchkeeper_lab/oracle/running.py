"""Whether every service runs, and when each was started."""

from watchkeeper_lab.oracle.finding import Finding, Place
from watchkeeper_lab.services import ServiceState

NOUN = {"container": "containers", "process": "processes"}


async def look(place: Place) -> Finding:
    """The services of the lab, replicas that others added too."""
    found, ground = Finding(), place.services.ground
    if not place.states:
        found.reasons.append(f"the lab has no {NOUN[ground]}")
        return found
    found.reasons += sorted(f"the {ground} of {one} is gone" for one in place.instance.services - place.states.keys())
    for service, state in place.states.items():
        found.reasons += _unwell(service, state, ground)
        found.untouched[f"{service} runs"] = "paused" if state.paused else state.status
        found.untouched[f"{service} started_at"] = state.started_at
        found.untouched[f"{service} memory_limit_bytes"] = state.memory_limit
    return found


def _unwell(service: str, state: ServiceState, ground: str) -> list[str]:
    return [] if state.running else [f"the {ground} of {service} is {'paused' if state.paused else state.status}"]
