"""Who else brings a container back: the engine by its restart policy, Patroni by what runs in it."""

import posixpath
from collections.abc import Mapping
from typing import Any

from watchkeeper.connectors.tending import patroni
from watchkeeper.domain import HostState
from watchkeeper.domain.healer import Healer
from watchkeeper.hosts.answers import items, part
from watchkeeper.hosts.story import Story

WAIT_SECONDS = 10.0
"""The engine starts a container again after 100 ms, and after twice as long each time it ends within ten seconds
(docs.docker.com, "Start containers automatically"): within ten seconds it has tried six times."""


def healers(shown: Mapping[str, Any], state: HostState, story: Story) -> tuple[Healer, ...]:
    """From what the engine tells of it (`inspect`), which holds secrets: nothing of it is kept."""
    return (*_restart_policy(shown, state, story), *_patroni(shown, state))


def serves(shown: Mapping[str, Any]) -> bool:
    """Whether anything declares that it is there for others and to stay: a port, a health check, a restart policy. What
    declares none of them may be a job, which is over when it ends."""
    config, host = part(shown, "Config"), part(shown, "HostConfig")
    policy = str(part(host, "RestartPolicy").get("Name") or "no")
    return bool(
        config.get("ExposedPorts") or host.get("PortBindings") or config.get("Healthcheck") or policy not in ("no", "")
    )


def _restart_policy(shown: Mapping[str, Any], state: HostState, story: Story) -> tuple[Healer, ...]:
    said = part(shown, "HostConfig", "RestartPolicy")
    name, most = str(said.get("Name") or "no"), int(said.get("MaximumRetryCount") or 0)
    if name not in ("always", "unless-stopped", "on-failure"):
        return ()
    times = f", at most {most} times" if most else ""
    spent = bool(most) and int(shown.get("RestartCount") or 0) >= most
    done = ""
    if state.status in ("exited", "dead"):
        ended = state.finished_at
        if state.stopped_by == "on_purpose" or (ended is not None and story.ended_through_engine(ended)):
            done = "it does not apply after `docker kill` or `docker stop`"
        elif name == "on-failure" and (spent or state.exit_code == 0):
            done = "it has given up" if spent else "it does not apply to an end without an error"
    return (Healer("docker", f"Docker's restart policy ({name}{times})", WAIT_SECONDS, done=done),)


def _patroni(shown: Mapping[str, Any], state: HostState) -> tuple[Healer, ...]:
    words = [str(shown.get("Path") or ""), *map(str, items(shown, "Args"))]
    variables = [str(entry).partition("=")[0] for entry in items(part(shown, "Config"), "Env")]
    runs = any(posixpath.basename(word) in ("patroni", "patroni.py") for word in words)
    if not runs and not {"PATRONI_NAME", "PATRONI_SCOPE"} & set(variables):
        return ()
    return (patroni(runs=state.status == "running"),)
