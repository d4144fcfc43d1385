"""The commands in a container are told whole, as far as its engine can tell."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts import ContainerHost, Engine

TITLE = "nginx: master process nginx -g daemon off;"
SHOWN = {"Path": "/entry.sh", "Args": [], "State": {"Running": True, "Paused": False}}


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
