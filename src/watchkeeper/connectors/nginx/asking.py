"""Asking a server: stub_status by whichever way lets us in, else whether anybody is there at all."""

import asyncio
import time

from watchkeeper.connectors.nginx import status
from watchkeeper.connectors.nginx.configuration import Listen, StatusAt
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import WatchkeeperError

REQUEST_EVERY = 10.0
"""Seconds between real requests where there is no stub_status to ask."""
STATUS_AGAIN = 60.0
"""Seconds until a stub_status that could not be reached is tried again."""


async def status_of(session: NginxSession) -> status.Status | None:
    """stub_status, by the way that worked last; None where there is none that lets us in. Raises OSError for a server
    that does not answer."""
    loop = asyncio.get_running_loop()
    if session.status_way is not None:
        way, where = session.status_way
        if found := await ask_status(session, way, where):
            return found
        session.status_way = None
    if session.loaded is None or loop.time() < session.no_status_until:
        return None
    for where in session.loaded.status:
        ways = ["from here", *(["within"] if session.pid else []), *(["by command"] if not session.pid else [])]
        for way in ways:
            try:
                found = await ask_status(session, way, where)
            except OSError:
                continue
            if found:
                session.status_way = (way, where)
                return found
    session.no_status_until = loop.time() + STATUS_AGAIN
    return None


async def ask_status(session: NginxSession, way: str, where: StatusAt) -> status.Status | None:
    listen, name = where.listen, status.name_of(where.listen.names)
    if way == "by command":
        if session.host is None or listen.tls:
            return None
        try:
            body = await status.ask_by_command(
                session.host, listen.address or "127.0.0.1", listen.port, where.path, name
            )
        except WatchkeeperError:
            return None
        return status.parsed(body)
    if way == "within":
        address = listen.address or "127.0.0.1"
        answer = await status.ask(address, listen.port, where.path, name=name, tls=listen.tls, within=session.pid)
        return status.parsed(answer.body)
    last: OSError | None = None
    for address, port in await session.endpoints(listen.port):
        try:
            answer = await status.ask(address, port, where.path, name=name, tls=listen.tls)
        except OSError as problem:
            last = problem
            if isinstance(problem, TimeoutError):
                break
            continue
        return status.parsed(answer.body)
    if last is not None:
        raise last
    return None


async def knock(session: NginxSession, metrics: dict[str, float]) -> None:
    """Is somebody there: a connection with each look, a request less often. Raises OSError."""
    listen = front(session)
    name, asked, last = status.name_of(listen.names), time.perf_counter(), None
    whole = session.silent_since is not None or session.due("request", REQUEST_EVERY)
    for address, port in await session.endpoints(listen.port):
        try:
            if whole:
                await answered(address, port, name, tls=listen.tls)
                metrics["answer_seconds"] = time.perf_counter() - asked
            else:
                async with asyncio.timeout(status.SECONDS):
                    _, writer = await asyncio.open_connection(address, port)
                writer.close()
            return
        except OSError as problem:
            last = problem
            if isinstance(problem, TimeoutError):
                break
    session.soon("request")
    raise last or ConnectionRefusedError("it has no address while it does not run")


async def answered(address: str, port: int, name: str, *, tls: bool) -> None:
    """A page; where it takes too long that may be what is behind it, and then it alone is asked. Raises OSError."""
    try:
        await status.ask(address, port, "/", name=name, tls=tls, timeout=status.SECONDS * 0.7)
    except TimeoutError:
        if not await status.answers_itself(address, port):
            raise


def front(session: NginxSession) -> Listen:
    """Where visitors come in."""
    if session.url is not None:
        tls = session.url.scheme == "https"
        return Listen("", session.url.port or (443 if tls else 80), tls, ())
    listens = session.loaded.listens if session.loaded else []
    plain = [listen for listen in listens if not listen.tls]
    return next(iter((*plain, *listens)), Listen("", 80, False, ()))


async def at_work(session: NginxSession) -> int:
    """How many requests it is busy with, by its own count and without ours; 0 where it does not say. Those of workers
    that are shutting down are among them."""
    if session.status_way is None or (session.family and len(session.family.serving) < len(session.family.workers)):
        return 0
    try:
        told = await ask_status(session, *session.status_way)
    except OSError:
        return 0
    return told.writing - 1 if told else 0
