"""What standard exporters call our metrics is checked at load, and Prometheus understands all of it."""

from pathlib import Path

import pytest
import yaml

from tests.sources.conftest import Stand
from watchkeeper.connectors import Registry
from watchkeeper.domain import ConfigurationError
from watchkeeper.settings.sources import SourceSettings
from watchkeeper.sources import Exporter, Prometheus, exporters_of
from watchkeeper.sources.exporters import filled, parsed
from watchkeeper.sources.matching import selector

GOOD = {
    "exporter": "ours",
    "source": "a test",
    "finds": "ours_up",
    "identity": ["instance"],
    "metrics": {"up": "ours_up{$match}"},
}
ALL = [(known.kind, exporter) for known in Registry.installed() for exporter in exporters_of(known)]


def load(tmp_path: Path, **more: object) -> Exporter:
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump([GOOD | more]))
    return parsed(tmp_path / "prometheus.yaml", "redis", Registry.installed().kind("redis").sample)[0]


def test_the_exporters_that_teams_run_are_known() -> None:
    assert {kind for kind, _ in ALL} >= {"redis", "postgres", "nginx", "http", "container", "service", "machine"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"metrics": {"used_memory_ration": "x{$match}"}},
            r"no `used_memory_ration` \(did you mean `used_memory_ratio`",
        ),
        ({"metrics": {"up": "ours_up"}}, "does not say whose series"),
        ({"metrics": {"up": "ours_up{$match, $instance}"}}, r"\$instance, which is not known"),
        ({"optional": ["nothing_such"]}, "no `nothing_such`"),
        ({"finds": "sum(ours_up)"}, "finds"),
        ({"suspect": "reading.connected_clients > 3.0"}, "`suspect` names `connected_clients`, which is not among"),
        ({"metric": {}}, r"unknown key `metric` \(did you mean `metrics`"),
    ],
    ids=["metric", "whose", "hole", "optional", "finds", "suspect", "key"],
)
def test_a_file_that_could_not_work_is_refused_when_it_is_loaded(
    tmp_path: Path, more: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        load(tmp_path, **more)
    assert raised.value.what.startswith("redis/prometheus.yaml")


@pytest.mark.parametrize(("kind", "exporter"), ALL, ids=[exporter.name for _, exporter in ALL])
async def test_prometheus_understands_every_query(stand: Stand, kind: str, exporter: Exporter) -> None:
    values = [tuple("x" for _ in exporter.identity), tuple("y" for _ in exporter.identity)]
    match = selector(exporter.identity, values)
    queries = [*exporter.metrics.values(), *(query for query, _ in exporter.facts.values())]
    store = Prometheus("prom", SourceSettings(url=stand.url, timeout=30))
    try:
        answer = await store.ask(
            {str(n): filled(q, match=match, by=exporter.identity, window=60) for n, q in enumerate(queries)}
        )
    finally:
        await store.close()

    assert answer.refused == {}
