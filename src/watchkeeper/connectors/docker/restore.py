"""Puts back the configuration file with which a container last ran well."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import MaxLen, MinLen

from watchkeeper.connectors.docker.files import GONE, SHOWN, held
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.domain import Effect, Reading, Refused, WatchkeeperError, tool
from watchkeeper.domain.rights import calls
from watchkeeper.hosts.kept import hash_of
from watchkeeper.hosts.rights import FILES, INSPECT


async def file_hashes(session: ContainerSession) -> dict[str, str]:
    """By path, what its configuration files hold now; that tells whether one was put back."""
    found: dict[str, str] = {}
    for path in session.files.good:
        try:
            found[path] = session.host.engine.kept.put(await session.host.read_file(path))
        except WatchkeeperError:
            found[path] = GONE
    return found


def has_changed(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is something to put back, and it does not run well as it is."""
    metrics = reading.metrics
    if metrics.get("config_changed", 0.0) < 1.0:
        return "Its configuration files are as they were when it last ran well, as far as is known."
    if not metrics.get("config_crashed") and not metrics.get("health_failing"):
        return "It runs: that a file changed is no reason to put it back."
    return None


def may_be_put_back(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Not what is the machine's."""
    same = arguments.get("path") in (None, reading.facts.get("config_file"))
    return (reading.facts.get("config_held") or None) if same else None


@tool(
    Effect.REVERSIBLE,
    state=file_hashes,
    settle=1.0,
    timeout=20.0,
    requires=(has_changed, may_be_put_back),
    rights=calls(INSPECT, *FILES),
    by_hand="docker cp GOOD_COPY {host}:{path}",
)
async def docker_restore_config(
    session: ContainerSession,
    path: Annotated[str, MinLen(2), MaxLen(500)],
    digest: Annotated[str, MinLen(8), MaxLen(64)],
) -> dict[str, str]:
    """Put back the content with which a container last ran well into one of its configuration files; `digest` is how
    the hash of that content begins. What is there now is kept and can be put back. It is read with the next start."""
    good = session.files.good.get(path)
    if good is None or not good.startswith(digest):
        raise Refused(f"With what {path} last ran well is not known, or it is not {digest}.")
    await _may_be_written(session, path)
    before = (await file_hashes(session)).get(path, GONE)
    await session.files.put_back(path, good)
    return {"before": before[:SHOWN], "now": session.files.now[path][:SHOWN]}


@docker_restore_config.undo
async def put_the_other_back(session: ContainerSession, before: dict[str, str]) -> None:
    """What was there before."""
    for path, digest in before.items():
        try:
            present = hash_of(await session.host.read_file(path))
        except WatchkeeperError:
            present = GONE
        if digest not in (GONE, present):
            await session.files.put_back(path, digest)


async def _may_be_written(session: ContainerSession, path: str) -> None:
    """Raises Refused."""
    if why := held(await session.host.inspect(), path, session.host.name):
        raise Refused(why)
