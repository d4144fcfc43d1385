"""Tells what Watchkeeper does while it does it: one line for each thing that is new since the last look."""

from collections.abc import Callable, Iterable

from watchkeeper_lab.api import Fix, Incident


class Narrator:
    """Compares each look with what was told before; `tell` gets one line per news."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[tuple[str, ...]] = set()

    def look(self, incidents: Iterable[Incident], fixes: Iterable[Fix]) -> None:
        """Tell what is new in these."""
        for incident in incidents:
            for alert in incident.alerts:
                where = alert.resource.rsplit("/", 1)[-1]
                self._once(f"alert     {alert.rule} on {where} is {alert.status}", incident.id, alert.resource)
            if incident.ended:
                self._once(f"incident  {incident.status} {incident.outcome}".rstrip(), incident.id)
            elif incident.root:
                self._once(f"incident  {incident.title or incident.root}: {incident.status}", incident.id)
        for fix in fixes:
            tools = ", ".join(dict.fromkeys(step.tool for step in fix.steps))
            self._once(f"plan      {tools or 'no steps'} ({fix.author})", fix.id)
            for number, step in enumerate(fix.steps):
                if step.started_at is not None:
                    said = f"{step.tool} {step.status}" + (f": {step.error}" if step.error else "")
                    self._once(f"step      {said}", fix.id, str(number))
            if fix.verdict:
                self._once(f"verdict   {fix.verdict}" + (f": {fix.reasons[0]}" if fix.reasons else ""), fix.id)

    def _once(self, line: str, *about: str) -> None:
        if (line, *about) not in self._told:
            self._told.add((line, *about))
            self._tell(line)
