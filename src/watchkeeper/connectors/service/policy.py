"""Who else brings a service back: systemd by `Restart=`, Patroni where its unit is that."""

import re

from watchkeeper.connectors.tending import patroni
from watchkeeper.domain import HostState
from watchkeeper.domain.healer import Healer
from watchkeeper.hosts import ServiceHost

START_SECONDS = 15.0
"""Beyond `RestartSec=` for the service to come up; ours."""
LEFT = "it does not start it again by itself now"
"""One whose turn is still to come is `activating (auto-restart)`: one that has ended was stopped, ended in a way that
`Restart=` leaves out, or came to its start limit (systemd.service(5))."""
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h)\b")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def healers(host: ServiceHost, state: HostState) -> tuple[Healer, ...]:
    """From what systemd says of the unit (systemd.service(5), "Restart=")."""
    survey = host.machine.survey
    unit = survey.units.get(host.unit) if survey else None
    if unit is None:
        return ()
    found: list[Healer] = []
    how = unit.said.get("Restart", "no")
    if how not in ("", "no"):
        wait = span(unit.said.get("RestartUSec", "")) + START_SECONDS
        found.append(Healer("systemd", f"systemd (Restart={how})", wait, done=LEFT if state.status == "exited" else ""))
    if host.unit.startswith("patroni"):
        found.append(patroni(runs=state.status == "running"))
    return tuple(found)


def span(text: str) -> float:
    """A time span as `systemctl show` writes it (`1min 30s`), in seconds.

    >>> span("1min 30s"), span("100ms")
    (90.0, 0.1)
    """
    return sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(text))
