"""The disk of the data: how full it is, what fills it that is none of the server's, and moving that aside."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MaxLen

from watchkeeper.connectors import hosting
from watchkeeper.connectors.postgres import access, preconditions, queries
from watchkeeper.connectors.postgres.session import PostgresSession, until_it_answers
from watchkeeper.connectors.postgres.trouble import Trouble
from watchkeeper.domain import Effect, ExecResult, Host, Refused, WatchkeeperError, tool
from watchkeeper.domain.rights import calls, machine
from watchkeeper.hosts.beside import CALLS
from watchkeeper.hosts.rights import EXEC, STARTS

SCRIPT = (Path(__file__).parent / "scripts" / "stray.sh").read_text()
_LEAST_PERCENT = 2
"""What holds less of the disk would not help."""
_LEAST_MINUTES = 60
"""What was written to within so long is not forgotten."""
LOOK_FROM_RATIO = 0.85
"""From so full on it is looked for what fills it."""
_TOLD = (0, 3)
"""The script's own exit codes: it found out, or refuses and says why. Any other is no answer."""
_FIND_SECONDS = 10.0
_MOVE_SECONDS = 280.0
_START_SECONDS = 60.0


async def look_at_disk(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Its size and what is free; near its end also the largest file that is none of the server's. Leaves out what
    cannot be had here, or not in time."""
    host = session.host
    if host is None:
        return
    try:
        async with asyncio.timeout(hosting.HOST_SECONDS):
            folder = facts["data_directory"] = facts.get("data_directory") or await _folder(session)
            state = await host.state()
            ended = state.status in hosting.ENDED
            found = None if ended else await hosting.disk_of(host, folder)
    except (WatchkeeperError, TimeoutError):
        return
    if ended and state.stopped_by != "exited":
        return  # somebody ended it: that says nothing of its disk
    if found is not None and found.used_ratio < LOOK_FROM_RATIO:
        _forget(session)
        _tell(metrics, found)
        return
    if found is None and not ended:
        return
    # It may take longer than a look may; and until it has ended once a full disk is not told of: whoever hears of it
    # would find that nothing can be done.
    search = session.searching = session.searching or asyncio.create_task(_find(session, host, folder))
    await asyncio.wait({search}, timeout=hosting.HOST_SECONDS)
    if search.done() and search.result().exit_code in _TOLD:
        found = _take(session, search.result()) or found
    else:
        session.searching = None if search.done() else search  # it could not be asked: once more with the next look
        if metrics.get("disk_used_ratio", 0.0) < LOOK_FROM_RATIO:
            return
    if found is not None:
        _tell(metrics, found)


def _tell(metrics: dict[str, float], found: hosting.Disk) -> None:
    metrics |= {"disk_free_bytes": found.free, "disk_used_ratio": found.used_ratio}
    if found.inodes:
        metrics["inodes_free_ratio"] = found.inodes_free / found.inodes


def _forget(session: PostgresSession) -> None:
    if session.searching is not None:
        session.searching.cancel()
        session.searching = None
    session.stray_metrics, session.stray_facts = {}, {}


def _take(session: PostgresSession, search: ExecResult) -> hosting.Disk | None:
    """What a search found, in place of what was known; and the disk as it was seen then."""
    _forget(session)
    disk: hosting.Disk | None = None
    for line in search.stdout.splitlines():
        what, _, said = line.partition(" ")
        if what == "stray" and "stray_file" not in session.stray_facts:
            size, _, session.stray_facts["stray_file"] = said.partition(" ")
            session.stray_metrics["stray_bytes"] = float(size)
        elif what == "spare":
            session.stray_metrics["spare_free_bytes"] = float(said) * 1024
        elif what == "disk":
            disk = hosting.Disk(*(float(kib) * 1024 for kib in said.split()))
    if search.exit_code:
        session.stray_facts["stray_refused"] = search.stderr.strip()[:200]
    return disk


async def _find(session: PostgresSession, host: Host, folder: str) -> ExecResult:
    try:
        return await _run(session, host, "find", folder, timeout=_FIND_SECONDS)
    except (WatchkeeperError, TimeoutError) as problem:
        return ExecResult(1, "", str(problem))


async def _run(session: PostgresSession, host: Host, mode: str, folder: str, *more: str, timeout: float) -> ExecResult:
    words = [mode, folder, session.spare, str(_LEAST_PERCENT), str(_LEAST_MINUTES), *more]
    return await hosting.on_its_files(host, ["sh", "-c", SCRIPT, "stray", *words], timeout=timeout)


async def _folder(session: PostgresSession) -> str:
    """The data directory: as the server says, or as it is started."""
    try:
        (row,) = await session.query(queries.FOLDER)
        return str(row["folder"])
    except Trouble:
        assert session.host is not None
        return access.data_folder(await session.host.processes(), await session.host.environment())


async def _on_the_disk(session: PostgresSession, mode: str, *more: str, timeout: float) -> str:
    """What the script says. Raises Refused with its reason."""
    if session.host is None:
        raise Refused("It is known only by its address: its disk cannot be reached.")
    if not session.spare:
        raise Refused("No folder on another disk is named (`spare_folder`).")
    done = await _run(session, session.host, mode, await _folder(session), *more, timeout=timeout)
    if done.exit_code:
        said = done.stderr.strip().splitlines()
        raise Refused(f"It was left where it is: {said[-1] if said else f'exit code {done.exit_code}'}.")
    session.soon("disk")
    return done.stdout


async def moved_aside(session: PostgresSession) -> dict[str, Any]:
    """What has been moved to the spare folder, by where it was."""
    return {"moved": sorted((await _on_the_disk(session, "moved", timeout=10.0)).splitlines())}


@tool(
    Effect.REVERSIBLE,
    state=moved_aside,
    settle=30.0,
    timeout=_MOVE_SECONDS + _START_SECONDS + 10,
    requires=(preconditions.disk_is_short, preconditions.spare_has_room),
    rights=(
        *calls(*EXEC),
        *calls(*CALLS, gives="files of a container that has ended for want of room"),
        *STARTS,
        *machine("root", gives="files of a server that runs without a container"),
    ),
    by_hand="{inside}cp -p {path} SPARE_FOLDER && {inside}cmp {path} SPARE_FOLDER/… && {inside}rm {path}",
)
async def postgres_move_stray_file(session: PostgresSession, path: Annotated[str, MaxLen(1000)]) -> dict[str, Any]:
    """Move a forgotten file from the disk of the data to the folder on another disk that the settings name
    (`spare_folder`). Only a large one, not written to for an hour, that no process holds open, and that is outside of
    everything that is the server's: data directory, write-ahead log, tablespaces, clusters, backups. It is copied,
    flushed and compared before it is removed; the undo moves it back. Nothing is deleted. A server that has ended for
    want of room is started again."""
    to = await _on_the_disk(session, "move", path, timeout=_MOVE_SECONDS)
    return {"moved": path, "to": to.strip(), "started": await _started(session)}


async def _started(session: PostgresSession) -> bool:
    """Start a server that ended for want of room, and wait until it answers; whether it had ended."""
    assert session.host is not None
    if (await session.host.state()).status not in hosting.ENDED:
        return False
    await session.host.start()
    await until_it_answers(session, _START_SECONDS)
    return True


@postgres_move_stray_file.undo
async def move_back(session: PostgresSession, before: dict[str, Any]) -> None:
    """Each file that was moved since, back where it was."""
    for path in sorted(set((await moved_aside(session))["moved"]) - set(before["moved"])):
        await _on_the_disk(session, "back", path, timeout=_MOVE_SECONDS)
