"""Stopped (SIGTERM) in the middle of a fix it ends in order and says nothing but that; the next start takes it up."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbos import DBOS

from tests.conftest import RedisServer
from tests.crash.harness import Server
from tests.crash.test_crash import OVER, times
from watchkeeper.act import launched

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("moment", ["before", "after"])
def test_stopped_in_the_middle_of_a_step_it_ends_without_a_traceback_and_the_fix_is_taken_up(
    moment: str, make_server: Callable[..., Server], redis_server: RedisServer, tmp_path: Path
) -> None:
    server = make_server()
    server.until_kind("server.started")
    (tmp_path / "die").write_text(f"ledger_mend:{moment} stop")
    redis_server.client().set("fault", "broken")
    assert server.died() == 0
    said = (tmp_path / "up.log").read_text()
    assert "Stopping; a fix that is under way is taken up at the next start." in said
    assert "Traceback" not in said
    assert "dbos" not in said

    server.start()
    server.until_kind(*OVER)
    assert server.incident()["outcome"] == "healed"
    assert times(redis_server, "ledger_mend") == 1
    assert len(server.fixes()) == 1


@pytest.mark.parametrize("phase", ["fix.started", "fix.step.intended", "fix.step.done", "incident.verifying"])
def test_stopped_between_two_steps_of_its_way_it_ends_without_a_traceback(
    phase: str, make_server: Callable[..., Server], redis_server: RedisServer, tmp_path: Path
) -> None:
    server = make_server()
    server.until_kind("server.started")
    redis_server.client().set("fault", "broken")
    seen = server.until_kind(phase)
    server.stop()
    assert server.died() == 0
    said = (tmp_path / "up.log").read_text()
    assert "Traceback" not in said
    assert "dbos" not in said

    server.start()
    server.until_kind(*OVER, after=seen["seq"])
    assert server.incident()["outcome"] in ("healed", "recovered")
    assert times(redis_server, "ledger_mend") == 1


async def test_who_looks_by_threads_of_their_own_goes_on_while_the_hands_are_let_go(tmp_path: Path) -> None:
    """A look that failed then was told as a connector's misconduct."""
    over = asyncio.Event()

    async def look() -> int:
        looks = 0
        while not over.is_set():
            looks += await asyncio.to_thread(int, "1")
        return looks

    unused: Any = SimpleNamespace(id="", patiently=lambda: None)
    async with launched(f"sqlite:///{tmp_path / 'workflows.db'}", unused, unused, unused, unused):
        assert await DBOS.get_workflow_status_async("none") is None  # puts its threads in the place of the loop's
        looking = asyncio.create_task(look())
        await asyncio.sleep(0)  # its turn
    over.set()
    assert await looking > 0
