"""Whose label is on it looks after it."""

import pytest

from watchkeeper.connectors.service.policy import span
from watchkeeper.watch.tending import labelled

K8S = {"io.kubernetes.pod.name": "shop-7f", "io.kubernetes.pod.namespace": "web"}


@pytest.mark.parametrize(
    ("labels", "kind", "owns"),
    [
        (K8S, "kubernetes", True),
        ({"com.docker.swarm.service.name": "shop"}, "swarm", True),
        ({"com.hashicorp.nomad.alloc_id": "0123456789abcdef"}, "nomad", True),
        ({"com.amazonaws.ecs.task-arn": "arn:aws:ecs:eu:1:task/shop/99"}, "ecs", True),
        ({"watchkeeper.healer": "our autoscaler", "watchkeeper.healer-wait": "90s"}, "declared", False),
        ({"watchkeeper.healer": "our autoscaler", "watchkeeper.healer-owns": "true"}, "declared", True),
    ],
)
def test_it_is_recognised_by_its_label(labels: dict[str, str], kind: str, owns: bool) -> None:
    (healer,) = labelled(labels)
    assert (healer.kind, healer.owns) == (kind, owns)
    assert healer.said.startswith(healer.name)


def test_a_declared_one_takes_as_long_as_its_label_says() -> None:
    waits = [next(labelled({"watchkeeper.healer": "x", "watchkeeper.healer-wait": said})).wait for said in ("2m", "?")]
    assert waits == [120.0, 60.0]


def test_a_container_of_compose_is_nobodys() -> None:
    assert list(labelled({"com.docker.compose.service": "redis", "watchkeeper.act": "true"})) == []


@pytest.mark.parametrize(("text", "seconds"), [("100ms", 0.1), ("1min 30s", 90), ("5s", 5), ("infinity", 0), ("", 0)])
def test_a_span_of_systemd_is_understood(text: str, seconds: float) -> None:
    assert span(text) == seconds
