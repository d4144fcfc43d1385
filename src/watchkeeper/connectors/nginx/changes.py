"""Tools that change the configuration. Each keeps the files as they were, and brings them back where asked to."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from watchkeeper.connectors import hosting
from watchkeeper.connectors.nginx import editing, learning, needs, preconditions
from watchkeeper.connectors.nginx.by_hand import as_started
from watchkeeper.connectors.nginx.configuration import Configuration, digest, understood
from watchkeeper.connectors.nginx.editing import Contents
from watchkeeper.connectors.nginx.files import changed
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import Effect, Reading, Refused, WatchkeeperError, tool
from watchkeeper.domain.saying import say

_FILES_FOR_EACH = 2
"""A request that is handed on takes a file for the client and one for the upstream."""
_FILES_BESIDE = 64


def cut_short(reading: Reading) -> Effect:
    """With `worker_shutdown_timeout` old workers do not wait for requests that take longer."""
    return Effect.DISRUPTIVE if reading.metrics["shutdown_timeout"] else Effect.REVERSIBLE


async def _fresh(session: NginxSession) -> Configuration:
    """The configuration as it is on disk now. Raises Refused for one that is not valid."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can change its configuration.")
    await learning.now(session)
    if session.tested is None or not session.tested.good:
        said = session.tested.said if session.tested else session.problem
        raise Refused(f"Its configuration on disk is not valid: {said}")
    return session.known()


def scaled(configuration: Configuration, value: int, files: int | None) -> dict[str, bytes]:
    """The files with so many connections for each worker, and the limit of open files raised to `files` where that is
    not None. Raises Refused."""
    contents = dict(configuration.contents)
    spot = configuration.connections_at
    if spot is None:
        raise Refused("Its configuration does not set worker_connections.", "Set it in `events` by hand.")
    old = str(configuration.worker_connections)
    contents |= editing.edited(contents, spot, "worker_connections", old, str(value))
    limit = configuration.files_limit_at
    if files is not None and limit is not None:
        contents |= editing.edited(contents, limit, "worker_rlimit_nofile", str(configuration.files_limit), str(files))
    elif files is not None:
        line = f"worker_rlimit_nofile {files};"
        contents[configuration.main] = editing.inserted(contents[configuration.main], 1, line)
    return {path: content for path, content in contents.items() if content != configuration.contents[path]}


def again(session: NginxSession, present: Configuration, kept: Contents) -> dict[str, bytes]:
    """What we would make of the files that were kept, to have what is configured now."""
    there = understood(present.main, {**present.contents, **kept}, session.expansion(), "/")
    files = present.files_limit if present.files_limit != there.files_limit else None
    return scaled(there, present.worker_connections, files)


@tool(
    Effect.REVERSIBLE,
    state=editing.as_it_is,
    settle=5.0,
    timeout=45.0,
    effect_now=cut_short,
    requires=(
        hosting.has_a_host,
        preconditions.tests_good,
        preconditions.nothing_pending,
        preconditions.leaves_room,
    ),
    rights=needs.CHANGE,
    by_hand=as_started(
        "{inside}sed -i 's/worker_connections .*;/worker_connections {value};/' FILE"
        " && {inside}nginx -t && {inside}nginx -s reload"
    ),
)
async def nginx_scale_connections(session: NginxSession, value: Annotated[int, Ge(64), Le(65535)]) -> dict[str, Any]:
    """Allow more connections for each worker: `worker_connections` is changed where it stands, the limit of open files
    with it where that is too low, tested and loaded. No request is cut off."""
    configuration = await _fresh(session)
    before = configuration.worker_connections
    needed = value * _FILES_FOR_EACH + _FILES_BESIDE
    soft = await session.files_limit()
    files = needed if soft is not None and soft < needed else None
    done = await editing.change(session, scaled(configuration, value, files))
    return {"before": before, "now": session.known().worker_connections, **done}


@nginx_scale_connections.undo
async def restore_connections(session: NginxSession, before: dict[str, Any]) -> None:
    """The files as they were, loaded again."""
    present = await _fresh(session)
    if present.digest != before["hash"]:
        await editing.undo(session, before, lambda kept: again(session, present, kept))


def _restored_by_hand(_: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    files = facts.get("changed_files") or "the file that it names"
    test = as_started("{inside}nginx -t")(_, facts)
    return f"{test}  # once {files} is as it last tested good: from a backup, or your repository"


@tool(
    Effect.REVERSIBLE,
    state=editing.as_it_is,
    settle=5.0,
    timeout=45.0,
    requires=(
        hosting.has_a_host,
        preconditions.tests_bad,
        preconditions.knows_a_good_one,
        preconditions.may_be_written,
    ),
    rights=needs.RESTORE,
    by_hand=_restored_by_hand,
)
async def nginx_restore_config(session: NginxSession) -> dict[str, Any]:
    """Put back the last configuration that tested good, which is what is loaded as a rule. What is there now is kept
    beside it under a name that begins with a dot. Nothing is loaded: whoever serves goes on serving."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can change its configuration.")
    await learning.now(session)
    if session.tested is not None and session.tested.good:
        raise Refused("Its configuration on disk is valid (again).")
    good = session.good
    if good is None:
        raise Refused("No configuration that tested good was seen here.")
    present = dict(session.known().contents)
    different = changed(good, present)
    kept = await editing.put(session, {path: good[path] for path in different if path in good})
    for path, name in kept.items():
        say(f"{path} as it was is beside it: {name}")
    moved = {path: await editing.aside(session, path) for path in different if path not in good}
    await learning.now(session)
    if session.tested is None or not session.tested.good:
        said = session.tested.said if session.tested else session.problem
        raise WatchkeeperError(f"The last good configuration does not test good any more: {said}")
    return {"files": different, "kept": kept, "moved_aside": moved, "hash": digest(good)}


@nginx_restore_config.undo
async def put_the_other_back(session: NginxSession, before: dict[str, Any]) -> None:
    """The files as they were before, broken or not. Nothing is loaded."""
    good = session.good or {}
    assert session.host is not None
    for path, name in before["kept"].items():
        present = await session.files.read(path) if path in good else None
        if present is None or present == good.get(path):
            content = await session.kept(path, name)
            if content is not None and content != present:
                await session.host.write_file(path, content)
    await learning.now(session)


@tool(
    Effect.REVERSIBLE,
    state=editing.as_it_is,
    settle=5.0,
    timeout=45.0,
    effect_now=cut_short,
    requires=(hosting.has_a_host, preconditions.tests_good, preconditions.nothing_pending),
    rights=needs.CHANGE,
    by_hand=as_started(
        "# set weight= of each server in `upstream {upstream}`, then {inside}nginx -t && {inside}nginx -s reload"
    ),
)
async def nginx_set_split(
    session: NginxSession,
    upstream: Annotated[str, MinLen(1), MaxLen(200)],
    weights: Annotated[dict[str, Annotated[int, Ge(0), Le(1000)]], MinLen(1), MaxLen(100)],
) -> dict[str, Any]:
    """Share the requests of an `upstream` among its servers by these weights (`{"10.0.0.1:80": 9, "10.0.0.2:80": 1}`;
    0 takes a server out). The lines are changed where they stand, tested and loaded. No request is cut off."""
    configuration = await _fresh(session)
    wanted = split(configuration, upstream, weights)
    before = {peer.address: 0 if peer.down else peer.weight for peer in configuration.upstreams[upstream]}
    done = await editing.change(session, wanted) if wanted else {}
    return {"before": before, "now": {**before, **weights}, **done}


def split(configuration: Configuration, upstream: str, weights: dict[str, int]) -> dict[str, bytes]:
    """The files with these weights. Raises Refused."""
    peers = {peer.address: peer for peer in configuration.upstreams.get(upstream, [])}
    if not peers:
        known = ", ".join(configuration.upstreams) or "none"
        raise Refused(f"There is no upstream `{upstream}` with servers.", f"There are: {known}.")
    if unknown := sorted(set(weights) - set(peers)):
        raise Refused(f"`{unknown[0]}` is no server of {upstream}.", f"Its servers: {', '.join(peers)}.")
    after = {address: weights.get(address, 0 if peer.down else peer.weight) for address, peer in peers.items()}
    if not any(weight for address, weight in after.items() if not peers[address].backup):
        raise Refused("With these weights no server would be left.")
    contents = dict(configuration.contents)
    for address, weight in weights.items():
        spot = peers[address].spot
        contents[spot.file] = editing.weighted(contents[spot.file], spot.line, address, weight)
    return {path: content for path, content in contents.items() if content != configuration.contents[path]}


@nginx_set_split.undo
async def restore_split(session: NginxSession, before: dict[str, Any]) -> None:
    """The weights as they were, loaded again."""
    present = await _fresh(session)
    if present.digest == before["hash"]:
        return

    def made_again(kept: Contents) -> dict[str, bytes]:
        there = understood(present.main, {**present.contents, **kept}, session.expansion(), "/")
        contents = dict(there.contents)
        for name, peers in present.upstreams.items():
            weights = {peer.address: 0 if peer.down else peer.weight for peer in peers}
            old = {peer.address: 0 if peer.down else peer.weight for peer in there.upstreams.get(name, [])}
            if old and weights != old:
                fresh = {address: weight for address, weight in weights.items() if old.get(address) != weight}
                contents |= split(there, name, fresh)
        return {path: content for path, content in contents.items() if content != there.contents[path]}

    await editing.undo(session, before, made_again)
