"""What the engine told of one container, and what that says about why it stopped.

An exit code alone does not tell: `docker stop` of a process that ignores SIGTERM exits with 137, as `docker kill` does.
"""

import signal
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from watchkeeper.domain import StopCause
from watchkeeper.hosts.answers import part

ACTIONS = ("create", "start", "die", "kill", "stop", "oom", "pause", "unpause", "restart", "destroy")
"""The events worth hearing: health checks cause an `exec` event every few seconds, which are left out."""

_SECOND = 1_000_000_000
_LEAD = 30 * _SECOND
"""How long before the end a signal may have been sent and still count as its cause: three times Docker's default
grace of 10 s. With a longer grace, the `stop` event that follows the end tells."""
_MATCH = 5 * _SECOND
"""How far `die` and the engine's `FinishedAt` may lie apart."""
_KILLING = (128 + signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Told:
    """One event of one container. `at` in nanoseconds since 1970, by the engine's clock."""

    at: int
    action: str
    signal: int = 0
    exit_code: int | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Told":
        attributes = part(event, "Actor", "Attributes")
        code = str(attributes.get("exitCode", ""))
        return cls(
            at=int(event.get("timeNano") or int(event.get("time") or 0) * _SECOND),
            action=str(event.get("Action") or event.get("status") or ""),
            signal=signal_number(str(attributes.get("signal", ""))),
            exit_code=int(code) if code.lstrip("-").isdigit() else None,
        )

    @property
    def when(self) -> datetime:
        return datetime.fromtimestamp(self.at / _SECOND, UTC)


@dataclass(slots=True)
class Story:
    """The last events of one container, in the order of their time."""

    events: deque[Told] = field(default_factory=lambda: deque[Told](maxlen=64))
    oom_kills: int = 0

    def hear(self, told: Told) -> bool:
        """Remember an event; False where it is known already."""
        if told in self.events:
            return False
        self.events.append(told)
        if len(self.events) > 1 and told.at < self.events[-2].at:
            self.events = deque(sorted(self.events, key=lambda e: e.at), maxlen=self.events.maxlen)
        self.oom_kills += told.action == "oom"
        return True

    def hear_all(self, events: Iterable[Told]) -> None:
        for told in events:
            self.hear(told)

    def crashes_since(self, since: datetime) -> int:
        """How often it ended since then with a fault, without anybody having told the engine to end it.

        Whoever restarts it begins anew."""
        return len(self._crashes(since))

    def crashed_from(self, since: datetime) -> datetime | None:
        """When the last life began that ended so; None where none did."""
        ends = self._crashes(since)
        return datetime.fromtimestamp(self._begun(ends[-1]) / _SECOND, UTC) if ends else None

    def restarted_since(self, since: datetime) -> bool:
        """Whether somebody had the engine start it anew since then."""
        return any(event.action == "restart" and event.when > since for event in self.events)

    def _crashes(self, since: datetime) -> list[Told]:
        since = max([since, *(e.when for e in self.events if e.action == "restart")])
        ends = [e for e in self.events if e.action == "die" and e.when >= since and e.exit_code]
        return [end for end in ends if not self._told_to_end(end)]

    def _begun(self, end: Told) -> int:
        return max((e.at for e in self.events if e.action == "start" and e.at < end.at), default=0)

    def _told_to_end(self, end: Told) -> bool:
        return any(e.action == "kill" and max(self._begun(end), end.at - _LEAD) <= e.at <= end.at for e in self.events)

    def ended_through_engine(self, finished_at: datetime) -> bool:
        """Whether somebody told the engine to end it: then its restart policy leaves it so."""
        return any(self._told_to_end(end) for end in self._ends(int(finished_at.timestamp() * _SECOND)))

    def stopping(self, at: datetime, stop_signal: str) -> bool:
        """Whether it was told to end, politely and a moment ago, and has not been started since."""
        polite = {int(signal.SIGTERM), signal_number(stop_signal)}
        since = int(at.timestamp() * _SECOND) - _LEAD
        lately = [e for e in self.events if e.at >= since and e.action in ("kill", "die", "start")]
        return bool(lately) and lately[-1].action == "kill" and lately[-1].signal in polite

    def knows_end(self, finished_at: datetime) -> bool:
        """Whether it heard of the end at that moment."""
        return bool(self._ends(int(finished_at.timestamp() * _SECOND)))

    def _ends(self, finished: int) -> list[Told]:
        return [e for e in self.events if e.action == "die" and abs(e.at - finished) <= _MATCH]

    def cause(self, finished_at: datetime, *, stop_signal: str, oom_killed: bool) -> StopCause:
        """Why it stopped at `finished_at`; `unknown` where the events that would tell were not heard."""
        finished = int(finished_at.timestamp() * _SECOND)
        ends = self._ends(finished)
        if not ends:
            return "oom" if oom_killed else "unknown"
        end = min(ends, key=lambda e: abs(e.at - finished))
        begun = max((e.at for e in self.events if e.action == "start" and e.at < end.at), default=0)
        again = min((e.at for e in self.events if e.action == "start" and e.at > end.at), default=None)
        life = [e for e in self.events if e.at >= begun and (again is None or e.at < again)]
        lead = [e for e in life if end.at - _LEAD <= e.at <= end.at]
        polite = {int(signal.SIGTERM), signal_number(stop_signal)}
        if any(e.action == "stop" for e in life) or any(e.action == "kill" and e.signal in polite for e in lead):
            return "on_purpose"
        # The kernel's notice takes its own way through the engine and may come after the end.
        if oom_killed or any(e.action == "oom" and e.at >= end.at - _LEAD for e in life):
            return "oom"
        if any(e.action == "kill" and e.signal == signal.SIGKILL for e in lead) or end.exit_code in _KILLING:
            return "killed"
        return "exited"


def signal_number(name: str) -> int:
    """`15`, `TERM` or `SIGTERM` as a number; 0 for what is no signal."""
    if name.isdigit():
        return int(name)
    try:
        return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]) if name else 0
    except KeyError:
        return 0
