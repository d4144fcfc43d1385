"""Our own figures, in Prometheus' format."""

import asyncio
import time
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from watchkeeper_monitor import Histogram

QUANTILES = (0.5, 0.9, 0.99)
disable_created_metrics()


class _Looks(Collector):
    """How long looks took, by kind, as a summary with quantiles (within 1 %)."""

    def __init__(self) -> None:
        self.by_kind: dict[str, Histogram] = {}

    def collect(self) -> Iterator[Metric]:
        family = Metric("watchkeeper_look_seconds", "How long a look took, in seconds.", "summary")
        for kind, histogram in self.by_kind.items():
            for quantile in QUANTILES:
                labels = {"kind": kind, "quantile": str(quantile)}
                family.add_sample("watchkeeper_look_seconds", labels, histogram.quantile(quantile))
            family.add_sample("watchkeeper_look_seconds_sum", {"kind": kind}, histogram.total)
            family.add_sample("watchkeeper_look_seconds_count", {"kind": kind}, histogram.count)
        yield family

    def describe(self) -> Iterable[Metric]:
        return [Metric("watchkeeper_look_seconds", "How long a look took, in seconds.", "summary")]


class Metrics:
    """One registry per server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._looks = _Looks()
        self.registry.register(self._looks)
        self.looks_failed = Counter(
            "watchkeeper_looks_failed", "Looks that gave no data.", ["kind"], registry=self.registry
        )
        self.events = Counter("watchkeeper_events", "Events by kind.", ["kind"], registry=self.registry)
        self.resources = Gauge(
            "watchkeeper_resources", "Resources by health.", ["kind", "health"], registry=self.registry
        )
        self.incidents = Gauge("watchkeeper_incidents_active", "Incidents not over.", registry=self.registry)
        self.agent_calls = Counter(
            "watchkeeper_agent_calls", "Calls of agents over MCP, by tool.", ["tool"], registry=self.registry
        )
        self.last_look = time.monotonic()
        """When the last look ended, on the clock that does not jump."""
        self.last_look_at = Gauge(
            "watchkeeper_last_look_timestamp_seconds", "When the last look ended.", registry=self.registry
        )
        self.heartbeat = Gauge(
            "watchkeeper_heartbeat_timestamp_seconds",
            "When it last found itself working: looking, searching, writing, holding the lease.",
            registry=self.registry,
        )
        self.store_writable = Gauge(
            "watchkeeper_store_writable", "1 while the store can be written.", registry=self.registry
        )
        self.readings_waiting = Gauge(
            "watchkeeper_readings_waiting", "Readings not written yet.", registry=self.registry
        )
        self.readings_dropped = Gauge(
            "watchkeeper_readings_dropped",
            "Readings let go: the store could not be written.",
            registry=self.registry,
        )
        self.live_clients = Gauge(
            "watchkeeper_live_clients", "Clients that follow the live feed.", registry=self.registry
        )
        self.live_cut = Counter(
            "watchkeeper_live_cut", "Clients of the live feed that were cut off.", registry=self.registry
        )
        self.lag_seconds = Gauge(
            "watchkeeper_loop_lag_seconds", "How late the event loop wakes, in seconds.", registry=self.registry
        )

        self.notifications = Counter(
            "watchkeeper_notifications",
            "Attempts to tell people, by what came of them: delivered, failed (tried again), dead (given up).",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self.notifications_waiting = Gauge(
            "watchkeeper_notifications_waiting", "Messages not delivered yet.", ["channel"], registry=self.registry
        )
        self.notifications_dead = Gauge(
            "watchkeeper_notifications_dead",
            "Messages that could not be delivered, until sent again or dismissed.",
            ["channel"],
            registry=self.registry,
        )

    def looked(self, kind: str, seconds: float, *, ok: bool) -> None:
        """Count one look."""
        self.last_look = time.monotonic()
        self.last_look_at.set_to_current_time()
        if kind not in self._looks.by_kind:
            self._looks.by_kind[kind] = Histogram()
        self._looks.by_kind[kind].record(max(0.0, seconds))
        if not ok:
            self.looks_failed.labels(kind).inc()

    async def measure_lag(self, every: float = 1.0) -> None:
        """Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every
            await asyncio.sleep(every)
            self.lag_seconds.set(max(0.0, loop.time() - due))

    def text(self) -> bytes:
        return generate_latest(self.registry)
