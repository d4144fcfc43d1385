"""One look at a model: what its processes pushed in the last seconds, beside what is usual for it."""

import math
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from watchkeeper.connectors.model.seldom import Seldom
from watchkeeper.connectors.model.wanted import ModelSettings
from watchkeeper.domain import Probe, Reading, Resource, WatchkeeperError, now
from watchkeeper.domain.spoken import spoken
from watchkeeper.predictions import LEAST, Lasting, Lately, Predictions, Usually, lasting

USUAL_EVERY = timedelta(minutes=5)
"""After which what is usual is worked out anew, as long as nothing is worse than that."""
LASTING_EVERY = timedelta(minutes=2)
"""After which quality and drift are: they move by the hour."""
SLOWER = 5.0
"""Times its usual median, or p95, from which a model is slow; as for HTTP services."""
NOTICED = 0.05
"""Seconds under which nobody calls a prediction slow."""
_TOLD = 3


class ModelSession:
    """What looks work on."""

    def __init__(self, resource: Resource, wanted: ModelSettings, predictions: Predictions | None) -> None:
        self.resource = resource
        self.wanted = wanted
        self.unusual = False
        """Whether the last look was worse than usual: then what is usual stays as it is."""
        self.followed = Followed(predictions, resource.name) if predictions is not None else None

    async def aclose(self) -> None:
        if self.followed is not None:
            await self.followed.usual.aclose()
            await self.followed.lasts.aclose()


class Followed:
    """What is known of one model."""

    def __init__(self, predictions: Predictions, name: str) -> None:
        self.recent = predictions.recent(name)
        self.usual: Seldom[Usually] = Seldom(self.recent.usually, USUAL_EVERY)
        self.lasts: Seldom[Lasting] = Seldom(lambda: lasting(predictions, name), LASTING_EVERY)


async def look(session: ModelSession) -> Reading:
    """Figures of now are of the last 15 s at least; what is usual of the last six hours without the last minutes."""
    begun, at, followed = time.perf_counter(), now(), session.followed
    if followed is None:
        return Reading(session.resource.id, at, 0.0, error="No server takes what its monitors push.")
    try:
        lately = await followed.recent.look()
    except WatchkeeperError as problem:
        return Reading(session.resource.id, at, time.perf_counter() - begun, error=str(problem))
    followed.lasts.turn()
    if not session.unusual or followed.usual.value is None:
        followed.usual.turn()
    usual, lasts = followed.usual.value, followed.lasts.value
    if not lately.senders:
        ago = spoken((at - lately.heard_at).total_seconds())
        error = f"None of its processes has been heard of for {ago}."
        return Reading(session.resource.id, at, time.perf_counter() - begun, error=error)
    metrics, facts = _of_now(lately, session.wanted, at)
    metrics["error_limit_ratio"] = _bearable(session.wanted, usual)
    if usual is not None and usual.known:
        more, told = _beside(lately, usual, session.wanted)
        metrics, facts = metrics | more, facts | told
    if lasts is not None:
        more, told = _of_days(lasts)
        metrics, facts = metrics | more, facts | told
    known = {key: value for key, value in metrics.items() if math.isfinite(value)}
    session.unusual = _unusual(known)
    configuration = {"versions": ", ".join(sorted(lately.versions))}
    took = time.perf_counter() - begun
    return Reading(session.resource.id, at, took, known, facts, _state(known, facts), configuration=configuration)


async def answered(session: ModelSession) -> Probe:
    """Whether those who asked in the last seconds were answered. Nothing is learnt where nobody did."""
    begun, at, what = time.perf_counter(), now(), "what its clients asked was answered"

    def made(ok: bool | None, error: str | None = None) -> Probe:
        return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)

    if session.followed is None:
        return made(None, "no server takes what its monitors push")
    try:
        lately = await session.followed.recent.look()
    except WatchkeeperError as problem:
        return made(None, problem.what)
    if not lately.tally.outcomes:
        return made(None, "nobody asked it anything")
    failed = lately.tally.error_ratio()
    if failed and lately.tally.outcomes < LEAST:
        return made(None, f"too few asked it anything ({lately.tally.outcomes})")
    if failed > _bearable(session.wanted, session.followed.usual.value):
        return made(False, f"{_percent(failed)} of what its clients asked failed")
    return made(True)


def _bearable(said: ModelSettings, usual: Usually | None) -> float:
    """The share of predictions that may fail. One that always failed more often than is said is told where it fails
    three times as often."""
    return max(said.errors, 3 * usual.tally.error_ratio()) if usual is not None and usual.known else said.errors


def _of_now(lately: Lately, said: ModelSettings, at: datetime) -> tuple[dict[str, float], dict[str, str]]:
    metrics = {
        "replicas": float(len(lately.senders)),
        "versions": float(len(lately.versions)),
        "predictions_per_second": lately.predictions_per_second,
        "error_ratio": lately.error_ratio,
        "latency_p50_seconds": lately.latency_seconds(0.5),
        "latency_p95_seconds": lately.latency_seconds(0.95),
        "memory_bytes": float(sum(sender.memory_bytes for sender in lately.senders)),
    }
    if said.latency is not None:
        metrics["latency_limit_seconds"] = said.latency
    if lately.counted_at is not None:
        metrics["quiet_seconds"] = max(0.0, (at - lately.counted_at).total_seconds())
    errors = ", ".join(f"{name} ({times})" for name, times in lately.tally.errors.most_common(_TOLD))
    served = ", ".join(f"{name} ({number})" if number > 1 else name for name, number in lately.versions.items())
    return metrics, {"versions": served, "errors": errors}


def _beside(lately: Lately, usual: Usually, said: ModelSettings) -> tuple[dict[str, float], dict[str, str]]:
    """What is worse than usual, and by how much."""
    slower = [
        (takes / took, quantile, takes, took)
        for quantile in (0.5, 0.95)
        if (takes := lately.latency_seconds(quantile)) > NOTICED and (took := usual.tally.latency_seconds(quantile)) > 0
    ]
    times, quantile, slow, usually = max(slower, default=(1.0, 0.95, math.nan, math.nan))
    metrics = {
        "usual_latency_p95_seconds": usual.tally.latency_seconds(0.95),
        "slowness_ratio": times if lately.tally.timed >= LEAST else math.nan,
        "usual_error_ratio": usual.tally.error_ratio(),
        "usual_predictions_per_second": usual.predictions_per_second,
    }
    if lately.counted_at is not None:
        quiet = max(0.0, (lately.at - lately.counted_at).total_seconds())
        metrics["expected_predictions"] = usual.predictions_per_second * quiet
    told = "half" if quantile == 0.5 else "19 of 20"
    facts = {"slow": f"{told} of its predictions take up to {_time(slow)}; usually {_time(usually)}" if slower else ""}
    before = usual.tally.missing_ratio()
    more = {name: ratio - before.get(name, 0.0) for name, ratio in lately.missing.items()}
    worst = sorted(more, key=lambda name: -more[name])
    metrics["missing_ratio"] = lately.missing[worst[0]] if worst else 0.0
    metrics["missing_limit_ratio"] = said.missing
    lacking = [name for name in worst if more[name] > said.missing]
    metrics["missing_features"] = float(len(lacking))
    facts["missing"] = _listed(
        [f"{name} in {_percent(lately.missing[name])} (usually {_percent(before.get(name, 0.0))})" for name in lacking]
    )
    return metrics, facts


def _of_days(lasts: Lasting) -> tuple[dict[str, float], dict[str, str]]:
    metrics = {
        "accuracy_ratio": lasts.accuracy.value,
        "accuracy_low_ratio": lasts.accuracy.low,
        "labels": float(lasts.accuracy.of),
        "ndcg_ratio": lasts.ndcg.value,
        "quality_drop_ratio": 0.0,
        "drifted_columns": float(len(lasts.drifted)),
        "largest_psi": max((each.psi for each in lasts.drifted), default=0.0),
    }
    facts = {"worse": "", "drifted": ""}
    if fell := lasts.fell:
        metrics["quality_drop_ratio"] = fell.before - fell.after
        what = "accuracy" if fell.stream == "accuracy" else fell.stream.upper()
        facts["worse"] = (
            f"{what} fell from {_percent(fell.before)} to {_percent(fell.after)}, since {_moment(fell.since)}"
        )
    facts["drifted"] = _listed(
        [
            f"{each.name} (PSI {each.psi:.2f}{f', since {_moment(each.since)}' if each.since else ''})"
            for each in lasts.drifted
        ]
    )
    return metrics, facts


def _unusual(metrics: Mapping[str, float]) -> bool:
    return (
        metrics.get("slowness_ratio", 1.0) > SLOWER / 2
        or metrics.get("missing_features", 0.0) > 0
        or metrics.get("error_ratio", 0.0) > metrics["error_limit_ratio"]
    )


def _state(metrics: Mapping[str, float], facts: Mapping[str, str]) -> str:
    parts = [f"{metrics['predictions_per_second']:.3g}/s"]
    if "latency_p95_seconds" in metrics:
        parts.append(f"p95 {_time(metrics['latency_p95_seconds'])}")
    if metrics.get("error_ratio"):
        parts.append(f"{_percent(metrics['error_ratio'])} errors")
    if metrics.get("missing_features"):
        parts.append(f"missing: {facts['missing']}")
    if "accuracy_ratio" in metrics:
        parts.append(f"accuracy {_percent(metrics['accuracy_ratio'])}")
    if "ndcg_ratio" in metrics:
        parts.append(f"NDCG@10 {metrics['ndcg_ratio']:.2f}")
    if metrics.get("drifted_columns"):
        parts.append(f"{metrics['drifted_columns']:.0f} drifted")
    return ", ".join(parts)


def _listed(parts: list[str]) -> str:
    more = len(parts) - _TOLD
    return ", ".join(parts[:_TOLD]) + (f" and {more} more" if more > 0 else "")


def _percent(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio == 0 or ratio >= 0.1 else f"{ratio:.1%}"


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return "not known"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _moment(said: str) -> str:
    """An RFC 3339 time as people read it; the day, for this is of days."""
    return datetime.fromisoformat(said).strftime("%d %b %H:%M")
