"""A check of the user's own is told in the readings of what it is about, and raises an alert of its own there."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.domain.making import CACHE, resource
from tests.watch.fakes import Scripted
from tests.watch.test_watch import play
from watchkeeper.connectors.check import CheckConnector
from watchkeeper.domain import Health

__all__ = ["play"]
Play = Callable[..., Any]


async def serving(answers: list[bytes]) -> asyncio.Server:
    """Answers each request with the last of these."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + answers[-1])
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


def check(server: asyncio.Server, **more: object) -> dict[str, object]:
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    return {"name": "page-is-right", "http": url, "expect": {"contains": "well"}, "every": 0.5} | more


async def test_it_fires_on_the_resource_it_names_and_resolves_when_it_is_over(play: Play) -> None:
    answers = [b"all is well"]
    async with await serving(answers) as server:
        named = check(server, resource=resource().slug, severity="critical", why="Nobody can read it.")
        async with play(Scripted(resource()), checks=[named]) as scene:
            watcher = scene.watch.watchers[CACHE.id]
            while "check_page_is_right_failed" not in (watcher.last.metrics if watcher.last else {}):
                await watcher.next_reading(asyncio.get_running_loop().time())
            assert watcher.last.metrics["used"] == 0.5
            assert watcher.health is Health.HEALTHY
            answers.append(b"error")
            async with asyncio.timeout(60):
                fired = await scene.alerted.get()
                assert (fired.rule, fired.resource, fired.status) == ("check-page-is-right", CACHE.id, "firing")
                assert fired.why == "Nobody can read it."
                assert "page-is-right: the answer does not contain 'well'" in watcher.last.state
                assert watcher.health is Health.FAILED
                answers.append(b"well again")
                assert (await scene.alerted.get()).status == "resolved"


async def test_one_without_a_resource_is_a_resource_and_one_about_nothing_is_named(play: Play) -> None:
    answers = [b"error"]
    async with await serving(answers) as server:
        lost = check(server, name="lost", resource="no-such-thing")
        async with play(Scripted(resource()), CheckConnector(), checks=[check(server), lost]) as scene:
            async with asyncio.timeout(60):
                fired = await scene.alerted.get()
            assert fired.resource == "local/production/check/page-is-right"
            assert scene.watch.problems == {"check lost": "nothing watched is called 'no-such-thing': it is not made"}
