"""Whether what a fix was for serves again is seen at what needs it, too."""

from collections.abc import Mapping, Sequence

from watchkeeper.watch.correlation import carried_by, place, served, upstream
from watchkeeper.watch.watch import Watch


def served_by(root: str, judged: Sequence[str], watch: Watch) -> Mapping[str, str]:
    """How people call what runs on the root or needs it at first hand, by id; without what is `judged` itself, and
    without what needs something else, too, that is ill or stopped: that says nothing of the root."""
    known = watch.fleet.resources
    here = place(root, known) if root in known else frozenset[str]()

    def elsewhere(key: str) -> bool:
        at = watch.situation(tuple(one for one in (key, *upstream(key, known)) if one not in here))
        ill = any(alert.severity != "info" and alert.resource != key for alert in at.firing)
        return ill or any(reading.off for reading in at.readings.values())

    needing = {*served(root, known), *carried_by(root, known)}.difference(judged)
    return {key: known[key].slug for key in sorted(needing) if not elsewhere(key)}
