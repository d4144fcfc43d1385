"""One look at a service, and its probe."""

import asyncio
import time
from datetime import datetime

from watchkeeper.connectors import hosting
from watchkeeper.connectors.asking import Answer, unmet
from watchkeeper.connectors.http.document import parts
from watchkeeper.connectors.http.session import HttpSession
from watchkeeper.domain import HostState, Probe, Reading, now
from watchkeeper.settings.expect import Expect

_ANY = Expect()
_PROBE_SECONDS = 2.5
"""Who is slow serves all the same."""
_CARRIED = ("certificate_days",)


async def look(session: HttpSession, last: Reading | None) -> Reading:
    """Health and readiness, asked for at the same time. 1 s at most by default, also where it does not answer."""
    begun, at = time.perf_counter(), now()
    metrics = {name: last.metrics[name] for name in _CARRIED if last and name in last.metrics}
    metrics["host_known"] = float(session.host is not None)
    wanted = session.wanted
    apart = wanted.ready is not None and wanted.ready != wanted.health
    asked = [session.hear(wanted.health)] + ([session.hear(str(wanted.ready))] if apart else [])
    answers = await asyncio.gather(*asked)
    health, ready = answers[0], answers[1] if apart else answers[0] if wanted.ready else None
    if health.certificate_days is not None:
        metrics["certificate_days"] = health.certificate_days
    elif health.failure == "certificate":
        metrics["certificate_valid"] = 0.0
    if health.answered:
        metrics["certificate_valid"] = 1.0
        facts, state = await _answered(session, health, ready, metrics)
        return Reading(session.resource.id, at, time.perf_counter() - begun, metrics, facts, state)
    facts, state = await _failed(session, health, at, metrics)
    metrics |= session.times()
    off = any(metrics.get(name) for name in hosting.OFF)
    return Reading(session.resource.id, at, time.perf_counter() - begun, metrics, facts, state, health.said, off)


async def _answered(
    session: HttpSession, health: Answer, ready: Answer | None, metrics: dict[str, float]
) -> tuple[dict[str, str], str]:
    session.answered_at = now()
    session.heard()
    session.took(health.seconds)
    wrong = unmet(health, session.wanted.settings.expect)
    is_ready = ready is None or not unmet(ready, _ANY)
    said = {**parts(health.document), **(parts(ready.document) if ready else {})}
    down = sorted(name for name, well in said.items() if not well) if wrong or not is_ready else []
    # 503 is how a service says that it cannot serve now; any other 5xx is a fault of its own.
    errors = [a for a in (health, ready) if a is not None and a.status >= 500 and a.status != 503]
    session.failures = 0 if not wrong and is_ready else session.failures + 1
    metrics |= hosting.metrics_of(None) | {
        "up": 1.0,
        "responding": 1.0,
        "starting": 0.0,
        "unresponsive_seconds": 0.0,
        "status": float(max((answer.status for answer in errors), default=health.status)),
        "answer_seconds": health.seconds,
        "healthy": float(not wrong),
        "ready": float(is_ready),
        "not_ready_seconds": session.not_ready(is_ready),
        "failing": float(bool(errors) or (bool(wrong) and not down)),
        "dependencies_down": float(len(down)),
        "parts": float(len(said)),
        "consecutive_failures": float(session.failures),
        "slow_limit_seconds": session.wanted.settings.slow,
    }
    if ready is not None:
        metrics["ready_status"] = float(ready.status)
    metrics |= session.times()
    not_ready = "" if is_ready or ready is None else _brief(ready)
    facts = {
        "error": wrong or not_ready,
        "dependency": ", ".join(down),
        "parts": ", ".join(f"{name}: {'ok' if well else 'down'}" for name, well in said.items()),
    }
    if down:
        return facts, f"says that {facts['dependency']} {'is' if len(down) == 1 else 'are'} down"
    if wrong or not_ready:
        return facts, wrong or f"not ready: {not_ready}"
    return facts, f"{health.status} in {health.seconds * 1000:.0f} ms"


def _brief(answer: Answer) -> str:
    return answer.said or f"answered {answer.status}"


async def _failed(
    session: HttpSession, health: Answer, at: datetime, metrics: dict[str, float]
) -> tuple[dict[str, str], str]:
    """What the failure itself tells, and how the host is. Returns facts, and the state in words."""
    state = await hosting.state_of(session.host)
    host = hosting.metrics_of(state, answered=session.answered_at is not None)
    runs = host.get("host_running") == 1.0 and host.get("host_paused") != 1.0
    session.failures += 1
    if not runs or health.failure != "silent":
        session.heard()
    starting = runs and _starting(session, state, at)
    metrics |= host | {
        "responding": 0.0,
        "unresponsive_seconds": session.silent() if runs and health.failure == "silent" and not starting else 0.0,
        "starting": float(starting),
        "healthy": 0.0,
        "ready": 0.0,
        "failing": 0.0,
        "dependencies_down": 0.0,
        "consecutive_failures": float(session.failures),
    }
    # A silent service may still be up: only a refused connection, or a host that does not run, tells that it is down.
    if health.failure in ("refused", "lost", "name") or host.get("host_running") == 0.0:
        metrics["up"] = 0.0
    facts = {"error": health.failure, "dependency": "", "parts": ""}
    if session.host is None or state is None or state.status == "running":
        return facts, "starting" if starting else health.said
    return facts, hosting.stopped(session.host, state, host)


def _starting(session: HttpSession, state: HostState | None, at: datetime) -> bool:
    """Its host was started lately, or is being stopped, and it has not answered since."""
    if state is None or state.started_at is None:
        return False
    young = (at - state.started_at).total_seconds() < session.wanted.settings.start_period
    heard = session.answered_at is not None and session.answered_at > state.started_at
    return state.stopping or (young and not heard)


async def try_out(session: HttpSession) -> Probe:
    """A real request, and whether it is ready to serve."""
    begun, at = time.perf_counter(), now()
    ready, seconds = session.wanted.ready, max(_PROBE_SECONDS, session.wanted.settings.timeout)
    asked = [session.get(session.wanted.health, timeout=seconds)]
    if ready is not None and ready != session.wanted.health:
        asked.append(session.get(ready, timeout=seconds))
    health, *others = await asyncio.gather(*asked)
    unready = next(filter(None, (unmet(one, _ANY) for one in others)), "")
    wrong = unmet(health, session.wanted.settings.expect) or unready
    what = f"GET {session.wanted.health}" + (f" and {ready}" if ready else "")
    return Probe(session.resource.id, at, not wrong, time.perf_counter() - begun, what, wrong or None)
