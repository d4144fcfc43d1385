"""The commands in a container are told whole, as far as its engine can tell."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts import ContainerHost, Engine

TITLE = "nginx: master process nginx -g daemon off;"
SHOWN = {"Path": "/entry.sh", "Args": [], "State": {"Running": True, "Paused": False}}


async def test_the_engine_is_asked_once_for_all_connectors_and_anew_when_something_happened() -> None:
    tops = 0

    async def call(path: str, method: str, **_: Any) -> Any:
        nonlocal tops
        if path.endswith("/json"):
            return SHOWN
        tops += 1
        await asyncio.sleep(0)
        return {"Titles": ["PID", "CMD"], "Processes": [["7", f"redis-server {tops}"]]}

    host = ContainerHost(cast("Engine", SimpleNamespace(call=call)), "abc", "cache", {})
    told = await asyncio.gather(*[host.processes() for _ in range(3)], host.processes())
    assert {told[0]} == {*told} == {("redis-server 1", "/entry.sh")}
    host.changed()
    assert await host.processes() == ("redis-server 2", "/entry.sh")


@pytest.mark.parametrize(("knows", "told"), [(True, TITLE), (False, TITLE[:30])])
async def test_a_terminal_that_the_engine_was_started_from_cuts_no_command(knows: bool, told: str) -> None:
    """Its `ps` would. Where it knows no wider form, what it tells is taken as it is."""

    async def call(path: str, method: str, *, params: Mapping[str, str] | None = None, **_: Any) -> Any:
        if path.endswith("/json"):
            return SHOWN
        if params and not knows:
            raise WatchkeeperError("ps: unrecognized option: w")
        return {"Titles": ["PID", "CMD"], "Processes": [["7", TITLE if params else TITLE[:30]]]}

    engine = cast("Engine", SimpleNamespace(call=call))
    assert await ContainerHost(engine, "abc", "nginx", {}).processes() == (told, "/entry.sh")
