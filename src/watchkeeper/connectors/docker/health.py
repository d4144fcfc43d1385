"""A container's own health check, asked at once where the engine's next turn is still to come."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts import ContainerHost
from watchkeeper.hosts.answers import items, part

TIMEOUT = 2.0
"""Seconds for it at most: a probe may take three in all."""
_SHELL = ("/bin/sh", "-c")


async def passes(host: ContainerHost) -> bool:
    """Run the check that the container declares, as the engine does; one pass makes it healthy there too, so one is
    proof here (docs.docker.com, "HEALTHCHECK"). False where it does not pass yet, or may not be run: then the engine's
    word is waited for."""
    try:
        command = declared(await host.inspect(fresh=False))
        return bool(command) and (await host.exec(command, timeout=TIMEOUT)).exit_code == 0
    except (WatchkeeperError, TimeoutError):
        return False


def declared(shown: Mapping[str, Any]) -> Sequence[str]:
    """Its command as it is to be run; empty where it has none.

    >>> list(declared({"Config": {"Healthcheck": {"Test": ["CMD-SHELL", "test -e /ready"]}}}))
    ['/bin/sh', '-c', 'test -e /ready']
    """
    config = part(shown, "Config")
    kind, *words = [str(word) for word in items(part(config, "Healthcheck"), "Test")] or [""]
    if kind == "CMD":
        return words
    if kind == "CMD-SHELL":
        return [*([str(word) for word in items(config, "Shell")] or _SHELL), *words]
    return ()
