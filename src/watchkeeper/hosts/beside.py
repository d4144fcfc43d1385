"""A command that sees the files of a container which has ended: in another one, of the same image, with its volumes."""

import asyncio
from collections.abc import Sequence
from typing import Any

from watchkeeper.domain import ExecResult, WatchkeeperError
from watchkeeper.hosts.container import ContainerHost, frames
from watchkeeper.hosts.engine import BESIDE

CALLS = (
    "POST /containers/create",
    "POST /containers/{id}/start",
    "POST /containers/{id}/wait",
    "DELETE /containers/{id}",
)
"""Of the engine's API, besides its log. Whoever may create containers is as good as root there."""


async def exec_beside(container: ContainerHost, command: Sequence[str], *, timeout: float) -> ExecResult:
    """Run a command with the volumes of a stopped container, without network; the helper is gone afterwards. Raises
    WatchkeeperError, also when it does not end within `timeout` seconds."""
    engine, shown = container.engine, await container.inspect()
    body: dict[str, Any] = {
        "Image": shown["Image"],
        "Entrypoint": [command[0]],
        "Cmd": list(command[1:]),
        "User": "0:0",
        "Labels": {BESIDE: container.name},
        "HostConfig": {"VolumesFrom": [container.incarnation], "NetworkMode": "none"},
    }
    made: dict[str, Any] = await engine.call("containers/create", "POST", data=body, timeout=10.0)
    path = f"containers/{made['Id']}"
    try:
        async with asyncio.timeout(timeout):
            await engine.call(f"{path}/start", "POST", timeout=10.0)
            ended: dict[str, Any] = await engine.call(f"{path}/wait", "POST", timeout=timeout)
            out: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
            wanted = {"stdout": "1", "stderr": "1"}
            async with engine.open(f"{path}/logs", params=wanted, timeout=10.0) as response:
                async for stream, data in frames(response.content):
                    out.setdefault(stream, bytearray()).extend(data)
    except TimeoutError:
        raise WatchkeeperError(f"{command[0]} beside {container.name} did not end within {timeout:g} s.") from None
    finally:
        await asyncio.shield(engine.call(path, "DELETE", params={"force": "1"}, timeout=30.0))
    code = int(ended.get("StatusCode") or 0)
    return ExecResult(code, out[1].decode(errors="replace"), out[2].decode(errors="replace"))
