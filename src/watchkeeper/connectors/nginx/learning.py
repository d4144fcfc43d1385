"""What is configured, read and tested when it changed: beside the looks, for a test may take its time."""

import asyncio
import time

from watchkeeper.connectors.nginx import workers
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import WatchkeeperError

FAR_EVERY = 15.0
"""Seconds between looks at files that only a command on another machine can tell of."""
TEST_EVERY = 300.0
"""Seconds between tests of files that did not change: names may stop resolving, certificates be removed."""
BROKEN_EVERY = 15.0
"""The same where the last test failed: what makes it fail may lie outside of them, and come right without them."""
_CLOCK = 0.02
"""Seconds by which the time of a file and that of a process may be off: ticks of the kernel's clock."""


async def soon(session: NginxSession, seconds: float) -> None:
    """Begin, where it is not under way, and wait so long at most."""
    if session.learning is None or session.learning.done():
        session.learning = asyncio.create_task(learn(session), name=f"configuration of {session.resource.slug}")
    await asyncio.wait({session.learning}, timeout=seconds)


async def now(session: NginxSession) -> None:
    """All of it anew, whatever was known; for tools that have just changed it."""
    if session.learning is not None:
        await asyncio.wait({session.learning})
    session.stamp = session.tested = None
    await learn(session)


async def learn(session: NginxSession) -> None:
    """Read and test the files where they changed, and tell whether what is loaded is what they say."""
    await session.locate()
    generation = session.family.generation if session.family else ""
    reloaded = generation != session.generation
    first, session.generation = not session.generation, generation
    try:
        await _files(session, reloaded=reloaded)
        session.problem = ""
    except (WatchkeeperError, TimeoutError, OSError) as problem:
        session.problem = str(problem).partition("\n")[0] or type(problem).__name__
        return
    if reloaded:
        await _loaded(session, first=first)


async def _files(session: NginxSession, *, reloaded: bool) -> None:
    stamp = session.stamp
    known = session.configuration
    if known is not None and (session.files.near or reloaded or session.due("stamp", FAR_EVERY)):
        stamp = await session.files.stamp(known.patterns)
    if known is None or stamp is None or stamp != session.stamp or session.tested is None:
        if known is not None and session.stamp is not None and stamp != session.stamp:
            session.changed_at = asyncio.get_running_loop().time()
        await session.learn()
        # Of the files before they were tested: what changes meanwhile is seen the next time.
        before = await session.files.stamp(session.known().patterns)
        session.due("test", TEST_EVERY)
        await session.test()
        if session.changed_at is None:
            session.changed_at = await _written(session)
        session.stamp = before
    elif session.tested.good:
        if session.due("test", TEST_EVERY):
            await session.test()
    elif session.due("test of what is broken", BROKEN_EVERY):
        await session.test()


async def _written(session: NginxSession) -> float | None:
    """When a file was changed last, before we came, by the loop's clock; None where the files are elsewhere."""
    written = await session.files.changed_at(session.known().patterns)
    return None if written is None else asyncio.get_running_loop().time() - max(0.0, time.time() - written)


async def _loaded(session: NginxSession, *, first: bool) -> None:
    """A generation of workers that is new to us runs with what was on disk when it began."""
    family, configuration = session.family, session.configuration
    if family is None or not family.serving or configuration is None or not (session.tested and session.tested.good):
        return
    if first:
        written = await session.files.changed_at(configuration.patterns)
        begun = min(workers.started_time(worker.started) for worker in family.serving)
        if written is None or written > begun + _CLOCK:
            return
    session.running, session.loaded = configuration.digest, configuration
