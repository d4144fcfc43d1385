"""How what something runs on ended is told in one way: of the container or service itself, and of the server in it."""

import pytest

from watchkeeper.connectors import hosting
from watchkeeper.connectors.docker.read import _of_state as of_container
from watchkeeper.connectors.service.read import _of_state as of_service
from watchkeeper.domain import Host, HostState, now


class Box:
    kind = "container"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (HostState("exited", exit_code=3, stopped_by="unknown"), "stopped; why it ended was not seen (exit code 3)"),
        (HostState("exited", stopped_by="unknown"), "stopped; why it ended was not seen"),
        (HostState("exited", exit_code=137, stopped_by="killed"), "killed (exit code 137)"),
        (HostState("exited", exit_code=1, stopped_by="exited"), "ended by itself (exit code 1)"),
        (HostState("exited", exit_code=143, stopped_by="on_purpose"), "stopped on purpose"),
    ],
)
def test_an_end_is_told_in_the_same_words_wherever(state: HostState, told: str) -> None:
    box: Host = Box()  # type: ignore[assignment]
    assert (
        hosting.stopped(box, state, hosting.metrics_of(state, answered=False)) == f"its container does not run: {told}"
    )
    assert hosting.ended(state, before_watch=False) == told


@pytest.mark.parametrize("status", ["paused", "restarting", "gone", "unreachable"])
def test_what_has_not_ended_is_not_called_so(status: str) -> None:
    box: Host = Box()  # type: ignore[assignment]
    assert hosting.stopped(box, HostState(status), {}) == f"its container is {status}"


def test_an_end_that_nobody_heard_of_is_judged_alike_of_a_container_and_a_service() -> None:
    state = HostState("exited", exit_code=3, stopped_by="unknown", finished_at=now())
    container, _ = of_container(state, None, now())
    service, _ = of_service(state, None, now(), known=False)
    server = hosting.metrics_of(state, answered=False)
    assert container["stopped_unknown"] == service["stopped_unknown"] == server["host_stopped_unknown"] == 1.0
    assert container["failed"] == service["failed"] == 0.0
