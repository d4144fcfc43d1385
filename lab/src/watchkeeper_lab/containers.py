"""The containers of one compose project: found by label, looked at, stopped and started."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from watchkeeper_lab.command import attempt, run
from watchkeeper_lab.images import Images
from watchkeeper_lab.instance import Instance

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as it is now. `memory_limit` in bytes, 0 for none; `started_at` as the engine writes it."""

    name: str
    status: str
    paused: bool
    started_at: str
    restarts: int
    memory_limit: int
    health: str

    @property
    def running(self) -> bool:
        """True where it runs and is not paused."""
        return self.status == "running" and not self.paused


async def compose_up(compose: tuple[str, ...], instance: Instance, images: Images) -> None:
    """Write the compose file and its values into the lab's folder and start everything."""
    instance.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    recipe = files("watchkeeper_lab") / "assets" / "compose.yaml"
    (instance.folder / "compose.yaml").write_text(recipe.read_text())
    values: dict[str, Any] = {**instance.ports, "POSTGRES_PASSWORD": instance.postgres_password}
    values |= {f"{service.upper()}_IMAGE": tag for service, tag in images.tags.items()}
    values_path = instance.folder / ".env"
    values_path.touch(mode=0o600)
    values_path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    command = [*compose, "-p", instance.project, "-f", "compose.yaml", "up", "-d", "--no-build"]
    await run(command, timeout=180.0, cwd=instance.folder, hint="`docker ps -a` and `docker logs` may tell more.")


async def names_by_service(project: str) -> dict[str, str]:
    """Container names by compose service, whether they run or not."""
    form = f'{{{{.Label "{SERVICE_LABEL}"}}}}\t{{{{.Names}}}}'
    out = await run(["docker", "ps", "-a", "--filter", f"label={PROJECT_LABEL}={project}", "--format", form])
    return dict(sorted(line.split("\t", 1) for line in out.splitlines() if "\t" in line))


async def inspect(*names: str) -> dict[str, ContainerState]:
    """The state of containers, by name. Those that do not exist are left out."""
    answer = await attempt(["docker", "inspect", "--type", "container", *names], timeout=20.0)
    found: list[dict[str, Any]] = json.loads(answer.out or "[]")
    return {state.name: state for state in map(_state, found)}


def _state(raw: dict[str, Any]) -> ContainerState:
    state = raw["State"]
    return ContainerState(
        name=raw["Name"].lstrip("/"),
        status=state["Status"],
        paused=state["Paused"],
        started_at=state["StartedAt"],
        restarts=raw["RestartCount"],
        memory_limit=raw["HostConfig"]["Memory"],
        health=state.get("Health", {}).get("Status", ""),
    )


async def docker(verb: str, *words: str, timeout: float = 60.0) -> None:
    """Run one docker command that has to succeed, for instance `docker("pause", name)`."""
    await run(["docker", verb, *words], timeout=timeout)


async def remove_project(project: str) -> None:
    """Remove all containers, networks and volumes of a project, whatever state they are in. Idempotent."""
    label = f"label={PROJECT_LABEL}={project}"
    for listing, removal in (
        (["docker", "ps", "-aq"], ["docker", "rm", "--force", "--volumes"]),
        (["docker", "network", "ls", "-q"], ["docker", "network", "rm"]),
        (["docker", "volume", "ls", "-q"], ["docker", "volume", "rm", "--force"]),
    ):
        found = (await run([*listing, "--filter", label])).split()
        if found:
            await run([*removal, *found])
