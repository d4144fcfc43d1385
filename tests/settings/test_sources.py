"""What is said of sources is checked at load, and metrics of one's own are known to one's own rules."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from watchkeeper.connectors import Registry
from watchkeeper.domain import ConfigurationError
from watchkeeper.settings import Settings, load_settings

PROM: dict[str, Any] = {"prom": {"url": "http://10.0.0.9:9090/"}}


def load(tmp_path: Path, *resources: dict[str, Any], **sources: Any) -> Settings:
    path = tmp_path / "watchkeeper.yaml"
    path.write_text(yaml.safe_dump({"sources": {**PROM, **sources}, "resources": list(resources)}))
    return load_settings(path)


def test_times_are_written_as_everywhere_and_the_url_loses_its_last_slash(tmp_path: Path) -> None:
    said = load(tmp_path, mimir={"url": "https://mimir/prometheus", "timeout": "500ms", "max_age": "1m"}).sources

    assert said["prom"].url == "http://10.0.0.9:9090"
    assert (said["mimir"].timeout, said["mimir"].max_age) == (0.5, 60.0)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"url": "10.0.0.9:9090"}, "write a URL"),
        ({"url": "http://me:secret@prom:9090"}, "credentials are references"),
        ({"url": "http://prom", "token": "secret"}, "credentials are references"),
        ({"url": "http://prom", "headers": {"Authorization": "Bearer secret"}}, "credentials are references"),
        ({"url": "http://prom", "username": "me"}, "belong together"),
        ({"url": "http://prom", "tokn": "env:T"}, r"unknown key `sources.mine.tokn` \(did you mean `token`"),
    ],
    ids=["url", "password", "token", "header", "half", "key"],
)
def test_a_source_that_cannot_work_is_refused(tmp_path: Path, source: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        load(tmp_path, mine=source)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({"source": "prm"}, r"there is no source `prm` \(did you mean `prom`"),
        ({"source": "prom"}, "say its `kind`"),
        ({"match": {"job": "redis"}}, "name their `source`"),
        ({"source": "prom", "metrics": {"Queue-Length": "x"}}, "no name of a metric"),
        ({"source": "prom", "metrics": {"queue_length": " "}}, "has no query"),
    ],
    ids=["source", "kind", "match", "name", "query"],
)
def test_a_resource_that_names_it_wrongly_is_refused(tmp_path: Path, resource: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(tmp_path, {"name": "cache"} | resource)


def test_metrics_of_ones_own_say_whence_where_there_are_several(tmp_path: Path) -> None:
    assert load(tmp_path, {"name": "cache", "metrics": {"jobs": "x"}}).resources[0].metrics == {"jobs": "x"}
    with pytest.raises(ConfigurationError, match="say which one"):
        load(tmp_path, {"name": "cache", "metrics": {"jobs": "x"}}, other={"url": "http://other"})


def test_rules_of_ones_own_know_metrics_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    rule = {"rule": "queue-grows", "when": "reading.queue_length > 100.0", "metric": "queue_length"}
    more = {"severity": "warning", "health": "DEGRADED", "why": "It grows.", "source": "a test"}
    (tmp_path / "redis" / "rules.yaml").write_text(yaml.safe_dump([rule | more]))
    with pytest.raises(ConfigurationError, match="queue_length"):
        Registry.installed().extend(tmp_path)
    registry = Registry.installed()
    registry.measure(load(tmp_path, {"name": "q", "kind": "redis", "metrics": {"queue_length": "x"}}).resources)

    registry.extend(tmp_path)

    assert registry.rules[0].id == "queue-grows"
