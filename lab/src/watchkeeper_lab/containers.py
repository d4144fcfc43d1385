"""The containers of one compose project: found by label, looked at, stopped and started."""

import io
import json
import tarfile
import tempfile
from collections import Counter
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from watchkeeper_lab import disk
from watchkeeper_lab.command import Finished, attempt, run
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.images import Images
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.services import Ground, ServiceState
from watchkeeper_lab.stack import REPLICAS

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"


async def compose_up(compose: tuple[str, ...], instance: Instance, images: Images) -> None:
    """Write the compose file and its values into the lab's folder and start everything."""
    instance.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    recipe = files("watchkeeper_lab").joinpath(*instance.stack.assets.split("/"), "compose.yaml")
    (instance.folder / "compose.yaml").write_text(recipe.read_text())
    values: dict[str, Any] = {**instance.ports, "POSTGRES_PASSWORD": instance.postgres_password}
    if not instance.stack.containers_only:
        values["POSTGRES_DISK"] = await disk.make(instance)
    values |= {f"{user.upper()}_PASSWORD": instance.secret(user) for user in instance.stack.users}
    values |= {f"{service.upper()}_IMAGE": tag for service, tag in images.tags.items()}
    values_path = instance.folder / ".env"
    values_path.touch(mode=0o600)
    values_path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    command = [*compose, "-p", instance.project, "-f", "compose.yaml", "up", "-d", "--no-build"]
    await run(command, timeout=180.0, cwd=instance.folder, hint="`docker ps -a` and `docker logs` may tell more.")


async def names_by_service(project: str) -> dict[str, str]:
    """Container names by service, whether they run or not; replicas by service and number, as in `shop-1`."""
    form = f'{{{{.Label "{SERVICE_LABEL}"}}}}\t{{{{.Label "{NUMBER_LABEL}"}}}}\t{{{{.Names}}}}'
    out = await run(["docker", "ps", "-a", "--filter", f"label={PROJECT_LABEL}={project}", "--format", form])
    rows = [line.split("\t", 2) for line in out.splitlines() if line.count("\t") == 2]
    several = {service for service, count in Counter(row[0] for row in rows).items() if count > 1} | set(REPLICAS)
    return dict(sorted((f"{row[0]}-{row[1]}" if row[0] in several else row[0], row[2]) for row in rows))


async def inspect(*names: str) -> dict[str, ServiceState]:
    """The state of containers, by name. Those that do not exist are left out."""
    answer = await attempt(["docker", "inspect", "--type", "container", *names], timeout=20.0)
    found: list[dict[str, Any]] = json.loads(answer.out or "[]")
    return {state.where: state for state in map(_state, found)}


def _state(raw: dict[str, Any]) -> ServiceState:
    state: dict[str, Any] = raw["State"]
    labels: dict[str, str] = raw["Config"].get("Labels") or {}
    ports: dict[str, list[dict[str, str]] | None] = raw["NetworkSettings"].get("Ports") or {}
    mounts: list[dict[str, str]] = raw.get("Mounts") or []
    usual = REPLICAS.get(labels.get(SERVICE_LABEL, ""), 1)
    return ServiceState(
        where=raw["Name"].lstrip("/"),
        status=state["Status"],
        paused=state["Paused"],
        started_at=state["StartedAt"],
        restarts=raw["RestartCount"],
        memory_limit=raw["HostConfig"]["Memory"],
        health=str(state.get("Health", {}).get("Status", "")),
        port=next((int(bound[0]["HostPort"]) for bound in ports.values() if bound), 0),
        extra=int(labels.get(NUMBER_LABEL) or 1) > usual,
        pid=int(state.get("Pid") or 0),
        volumes={one["Destination"]: one["Source"] for one in mounts if one.get("Source")},
    )


class Containers:
    """The services of one compose project, handled through the docker command."""

    ground: Ground = "container"

    def __init__(self, project: str) -> None:
        self._project = project
        self._names: dict[str, str] = {}

    async def states(self) -> dict[str, ServiceState]:
        """All containers of the project by service."""
        self._names = await names_by_service(self._project)
        found = await inspect(*self._names.values()) if self._names else {}
        return {service: found[name] for service, name in self._names.items() if name in found}

    async def kill(self, service: str) -> None:
        """SIGKILL, as the kernel would when memory runs out."""
        await self._docker("kill", service)

    async def start(self, service: str) -> None:
        """Start a stopped one."""
        await self._docker("start", service)

    async def restart(self, service: str) -> None:
        """Stop, by force after two seconds, and start."""
        await docker("restart", "--time", "2", await self._name(service))

    async def unpause(self, service: str) -> None:
        """Let every process in it go on."""
        await self._docker("unpause", service)

    async def pause(self, service: str) -> None:
        """Freeze every process in it."""
        await self._docker("pause", service)

    async def stop(self, service: str) -> None:
        """`docker stop`."""
        await self._docker("stop", service)

    async def limit_memory(self, service: str, size: int) -> None:
        """Memory and swap together."""
        await docker("update", "--memory", str(size), "--memory-swap", str(size), await self._name(service))

    async def remove(self, service: str) -> None:
        """Stop and remove it, with its anonymous volumes."""
        name = await self._name(service)
        await docker("stop", name)
        await docker("rm", "--force", "--volumes", name)

    async def execute(self, service: str, *words: str, timeout: float = 10.0) -> Finished:
        """`docker exec`."""
        return await attempt(["docker", "exec", await self._name(service), *words], timeout=timeout)

    async def read_file(self, service: str, path: str) -> str:
        """Taken out of the container, whether it runs or not."""
        packed = await attempt(["docker", "cp", f"{await self._name(service)}:{path}", "-"], timeout=20.0)
        if not packed.ok:
            raise LabError(f"{path} of {service} cannot be read: {packed.err.strip()[:120]}")
        with tarfile.open(fileobj=io.BytesIO(packed.out.encode())) as archive:
            inside = archive.extractfile(PurePosixPath(path).name)
            return inside.read().decode() if inside else ""

    async def write_file(self, service: str, path: str, text: str) -> None:
        """Put into the container, whether it runs or not; it then belongs to root and anybody may read it."""
        with tempfile.TemporaryDirectory(prefix="watchkeeper-lab-") as folder:
            file = Path(folder) / "file"
            file.write_text(text)
            file.chmod(0o644)
            await docker("cp", str(file), f"{await self._name(service)}:{path}")

    async def log(self, service: str, since: float) -> str:
        """`docker logs`."""
        told = await attempt(["docker", "logs", "--since", f"{since:.3f}", await self._name(service)], timeout=20.0)
        return told.out + told.err

    async def _docker(self, verb: str, service: str) -> None:
        await docker(verb, await self._name(service))

    async def _name(self, service: str) -> str:
        if service not in self._names:
            self._names = await names_by_service(self._project)
        return self._names[service]


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
