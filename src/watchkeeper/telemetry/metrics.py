"""Our own figures, in Prometheus' format."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry per server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.look_seconds = Histogram(
            "watchkeeper_look_seconds",
            "How long a look took, in seconds.",
            ["kind"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )
        self.looks_failed = Counter(
            "watchkeeper_looks_failed", "Looks that gave no data.", ["kind"], registry=self.registry
        )
        self.events = Counter("watchkeeper_events", "Events by kind.", ["kind"], registry=self.registry)
        self.resources = Gauge(
            "watchkeeper_resources", "Resources by health.", ["kind", "health"], registry=self.registry
        )
        self.incidents = Gauge("watchkeeper_incidents_active", "Incidents not over.", registry=self.registry)
        self.lag_seconds = Gauge(
            "watchkeeper_loop_lag_seconds", "How late the event loop wakes, in seconds.", registry=self.registry
        )

    async def measure_lag(self, every: float = 1.0) -> None:
        """Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every
            await asyncio.sleep(every)
            self.lag_seconds.set(max(0.0, loop.time() - due))

    def text(self) -> bytes:
        return generate_latest(self.registry)
