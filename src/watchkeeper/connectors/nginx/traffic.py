"""What logs tell of the last seconds: requests, errors, times, and what goes wrong with upstreams and workers."""

import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from watchkeeper.connectors.nginx.bouts import Bout
from watchkeeper.connectors.nginx.formats import Entry, entry
from watchkeeper.domain import Level

WINDOW = 10.0
"""Seconds over which rates and times are told."""
ERRORS_WINDOW = 30.0
"""Seconds over which error log entries are counted by cause."""
ENDED_WINDOW = 15.0
"""Seconds without such an entry after which it is over, where nothing tells sooner that the upstream answers again:
nginx asks one that failed again every 10 s (nginx.org, `fail_timeout`)."""
DEATHS_WINDOW = 300.0
"""Seconds within which the deaths of workers belong together, as for containers that crash."""
_MOST = 20_000
ERROR_LINE = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(?P<level>\w+)\] \d+#\d+: (?P<text>.*)$")
_LEVELS: dict[str, Level] = {
    "warn": "WARNING",
    "error": "ERROR",
    "crit": "CRITICAL",
    "alert": "CRITICAL",
    "emerg": "CRITICAL",
}
_UPSTREAM = re.compile(r'upstream: "(?:\w+://)?([^"/]+)')
_ADDRESS = re.compile(r"(\d+(\.\d+){3}|\[.*\]):\d+$")
_BY_CAUSE = (
    ("refused", re.compile(r"connect\(\) failed \(111|Connection refused\) while connecting to upstream")),
    ("timed_out", re.compile(r"upstream timed out")),
    (
        "closed_early",
        re.compile(r"upstream prematurely closed|recv\(\) failed \(104.*upstream|reset by peer.*upstream"),
    ),
    ("unresolved", re.compile(r"could not be resolved|host not found in upstream")),
    ("none_left", re.compile(r"no live upstreams")),
    (
        "unreachable",
        re.compile(r"connect\(\) failed \((113|101)|(No route to host|Network is unreachable)\) while conn"),
    ),
    ("tls_failed", re.compile(r"SSL_do_handshake\(\) failed.*upstream|upstream SSL certificate")),
)
CAUSES = tuple(name for name, _ in _BY_CAUSE)
_SHORT = re.compile(r"worker_connections are not enough")
_NO_FILES = re.compile(r"\(24: (Too many open files|No file descriptors available)")
_DIED = re.compile(r"worker process \d+ exited (on signal \d+|with fatal code)")
_OUR_DOING = re.compile(r"\(103: Software caused connection abort\)")
"""What nginx says of a connection that was ended from outside (ss -K)."""


def level(line: str) -> Level | None:
    """The level nginx itself gives a line of its error log; None for access log lines and notices."""
    found = ERROR_LINE.match(line)
    if not found:
        return "CRITICAL" if line.startswith("nginx: [emerg]") else None
    return "WARNING" if _OUR_DOING.search(found["text"]) else _LEVELS.get(found["level"])


FEW = 20
"""Visits from which the share that fails is told where fewer come within WINDOW: the last ones, of up to FEW_WINDOW."""
FEW_WINDOW = 300.0
ROW_WINDOW = 60.0
"""Seconds for which failures in a row tell something where nothing is asked for any more."""


@dataclass
class Traffic:
    """The requests and errors of the last seconds; times are the event loop's."""

    requests: deque[tuple[float, Entry]] = field(default_factory=lambda: deque(maxlen=_MOST))
    errors: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=_MOST))
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    bouts: dict[str, Bout] = field(default_factory=lambda: {name: Bout() for name in _FAILS})
    """Of answers, by kind of failure."""
    upstreams: dict[str, Bout] = field(default_factory=dict[str, Bout])
    """Of each upstream that failed lately, by its address; by its name, or none, where it did not come to one."""
    row: tuple[int, float, float] = (0, 0.0, 0.0)
    """Bad gateways since the last request that was none: how many, when the first came, and the last."""
    unread: int = 0
    """Lines that were passed over, more than could be read."""

    def line(self, at: float, line: str, formats: Sequence[str]) -> None:
        """Take one line of whichever log."""
        if found := ERROR_LINE.match(line):
            self._error(at, found["text"])
            return
        for log_format in formats:
            if request := entry(line, log_format):
                if not request.ours:
                    self._request(at, request)
                return

    def _request(self, at: float, request: Entry) -> None:
        self.requests.append((at, request))
        number, first, _ = self.row
        self.row = (number + 1, first if number else at, at) if request.status in _GATEWAY else (0, at, at)
        for name, fails in _FAILS.items():
            self.bouts[name].took(at, failed=fails(request))
        if not request.upstream or request.status in _GATEWAY:
            return  # the error log tells what went wrong with whom
        for peer, bout in self.upstreams.items():
            # Which of several upstreams has no address cannot be told: then all answers count, and it takes more.
            if peer == request.upstream or not _ADDRESS.match(peer):
                bout.took(at, failed=False)

    def _error(self, at: float, text: str) -> None:
        peer = _UPSTREAM.search(text)
        cause = next((name for name, pattern in _BY_CAUSE if pattern.search(text)), "")
        if cause:
            who = peer[1] if peer else ""
            self.errors.append((at, cause, who))
            self.upstreams.setdefault(who, Bout()).took(at, failed=True)
        elif _SHORT.search(text):
            self.errors.append((at, "short", ""))
        elif _NO_FILES.search(text):
            self.errors.append((at, "no_files", ""))
        elif _DIED.search(text):
            self.deaths.append(at)

    def told(self, at: float, *, since: float, access: bool, errors: bool) -> tuple[dict[str, float], dict[str, str]]:
        """Metrics and facts of the windows that end now; only of logs that are read (`access`, `errors`), which they
        have been `since`."""
        metrics, facts = dict[str, float](), {"upstream_error": "", "upstream_address": ""}
        if access:
            recent = [(when, request) for when, request in self.requests if when > at - WINDOW]
            metrics |= _of_requests([request for _, request in recent], max(1.0, min(WINDOW, at - since)))
            metrics |= self._of_failures(recent) | self._of_visits(at)
            number, first, last = self.row if self.row[2] > at - ROW_WINDOW else (0, at, at)
            metrics |= {"bad_gateway_row": float(number), "bad_gateway_row_seconds": last - first}
        if errors:
            metrics |= self._of_upstreams(at)
            counted = Counter(cause for when, cause, _ in self.errors if when > at - ERRORS_WINDOW)
            metrics |= {f"upstream_{name}": float(counted[name]) for name in CAUSES}
            metrics["connections_refused_short"] = float(counted["short"])
            metrics["files_exhausted"] = float(counted["no_files"])
            metrics["worker_deaths"] = float(sum(when > at - DEATHS_WINDOW for when in self.deaths))
            who = Counter((c, peer) for when, c, peer in self.errors if when > at - ERRORS_WINDOW and c in CAUSES)
            if who:
                (cause, peer), _ = who.most_common(1)[0]
                facts = {"upstream_error": cause.replace("_", " "), "upstream_address": peer}
        return metrics, facts

    def _of_failures(self, recent: Sequence[tuple[float, Entry]]) -> dict[str, float]:
        """Of the requests, the share that failed; without the failures of bouts that are over."""
        shares = dict[str, float]()
        for name, fails in _FAILS.items():
            standing = self.bouts[name].standing
            count = sum(fails(request) and standing(when) for when, request in recent)
            shares[f"{name}_ratio"] = count / len(recent) if recent else 0.0
        if recent and all(request.handed_on is None for _, request in recent):
            del shares["own_errors_ratio"]  # no format of its logs tells whose an error is
        return shares

    def _of_visits(self, at: float) -> dict[str, float]:
        """Of the last visits (those of WINDOW, or FEW of a longer time; without checks) the share that failed, and how
        many were well since the last that was not."""
        visits, standing = list[tuple[float, bool]](), self.bouts["server_errors"].standing
        for when, request in reversed(self.requests):
            if when <= at - (WINDOW if len(visits) >= FEW else FEW_WINDOW):
                break
            if not request.check:
                visits.append((when, request.status >= 500 and standing(when)))
        failed = [when for when, fails in visits if fails]
        return {
            "visits": float(len(visits)),
            "visits_failing_ratio": len(failed) / len(visits) if visits else 0.0,
            "visits_failed_ago_seconds": at - failed[0] if failed else FEW_WINDOW,
            "visits_well": float(next((n for n, (_, fails) in enumerate(visits) if fails), len(visits))),
        }

    def _of_upstreams(self, at: float) -> dict[str, float]:
        """Failures of upstreams that are not over."""
        there = {peer for when, _, peer in self.errors if when > at - ERRORS_WINDOW}
        self.upstreams = {peer: bout for peer, bout in self.upstreams.items() if peer in there}
        failed = [w for w, cause, peer in self.errors if peer in there and cause in CAUSES and self._stands(peer, w)]
        return {
            "upstream_errors": float(sum(when > at - ERRORS_WINDOW for when in failed)),
            "upstream_errors_lately": float(sum(when > at - ENDED_WINDOW for when in failed)),
        }

    def _stands(self, peer: str, at: float) -> bool:
        bout = self.upstreams.get(peer)
        return bout is None or bout.standing(at)


_GATEWAY = (502, 504)
_FAILS: dict[str, Callable[[Entry], bool]] = {
    "bad_gateway": lambda request: request.status in _GATEWAY,
    "server_errors": lambda request: request.status >= 500,
    "own_errors": lambda request: (
        request.status >= 500 and request.status not in _GATEWAY and request.handed_on is False
    ),
}


def _of_requests(recent: Sequence[Entry], seconds: float) -> dict[str, float]:
    number = len(recent)
    metrics = {"logged_requests": float(number), "logged_requests_per_second": number / seconds}
    client = sum(400 <= request.status < 500 for request in recent)
    metrics["client_errors_ratio"] = client / number if number else 0.0
    # A connection that was switched to another protocol (101: WebSocket) is meant to stay.
    times = sorted(r.seconds for r in recent if r.seconds is not None and r.status != 101)
    if times:
        metrics |= {"request_p50_seconds": _share(times, 0.5), "request_p95_seconds": _share(times, 0.95)}
    theirs = sorted(request.upstream_seconds for request in recent if request.upstream_seconds is not None)
    if theirs:
        metrics["upstream_p95_seconds"] = _share(theirs, 0.95)
    return metrics


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
