"""A system that Watchkeeper's makers did not have before their eyes, given credentials and nothing else."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from watchkeeper_lab import Lab
from watchkeeper_lab.api import Watchkeeper
from watchkeeper_lab.engine import ensure_engine
from watchkeeper_lab.errors import MissingError
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import scenarios
from watchkeeper_lab.server import watchkeeper_for
from watchkeeper_lab.stack import TICKETS

pytestmark = pytest.mark.lab
EXPECTED = {
    *(("container", service) for service in TICKETS.services),
    ("redis", "broker"),
    ("postgres", "store"),
    ("pgbouncer", "pooler"),
    ("nginx", "pages"),
    ("http", "web-1"),
    ("http", "web-2"),
}
READABLE_SECONDS = 90.0


@pytest.fixture(scope="module")
async def desk() -> AsyncGenerator[Lab]:
    """The second stack, for this module alone."""
    try:
        await ensure_engine()
    except MissingError as lacking:
        pytest.skip(f"the second stack runs in containers only: {lacking.what}")
    async with Lab.running(f"second-{os.getpid()}", ground="container", stack=TICKETS) as lab:
        yield lab


async def test_all_of_it_is_found_and_read_with_credentials_alone_and_a_fault_in_it_is_healed(
    desk: Lab, tmp_path: Path
) -> None:
    async with watchkeeper_for(desk, tmp_path) as server:
        async with Watchkeeper(server.base_url, desk.compose_project) as eyes:
            async with asyncio.timeout(READABLE_SECONDS):
                while True:
                    health = await eyes.health()
                    found = {(one.kind, one.service) for one in (await eyes.resources()).values()}
                    if found >= EXPECTED and set(health.values()) == {"HEALTHY"}:
                        break
                    await asyncio.sleep(0.5)
        row = (await play(desk, scenarios(TICKETS)["worker-gone"], server.base_url)).row
    assert row.right, row
