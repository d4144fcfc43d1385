"""The product's promise, on real services: each fault is found, fixed and proven; a control is left alone."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from watchkeeper_lab import Lab
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import left_out, scenarios
from watchkeeper_lab.server import Server, watchkeeper_up

pytestmark = pytest.mark.lab
SLOW = {"nginx-upstream-gone", "postgres-disk-full", "shop-crash-loop", "shop-replica-errors"}
"""Faults whose run, with what belongs to it, takes longest: for `make bench`; `make test` stays under 20 minutes."""
FAULTS = [name for name, one in scenarios().items() if not one.is_control and name not in SLOW]
CONTROLS = [name for name, one in scenarios().items() if one.is_control and not one.is_long]
CONTROL_SECONDS = 15.0
"""Shorter than in the benchmark, where a control lasts three times the slowest rule's `for`."""


@pytest.fixture(scope="module")
async def one_that_watches_on(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Server]:
    """One Watchkeeper through all controls, and through what is put right between them: none leaves anything behind."""
    async with watchkeeper_up(tmp_path_factory.mktemp("controls"), lab.compose_project) as server:
        yield server


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_found_fixed_and_proven_with_nothing_lost(lab: Lab, name: str, tmp_path: Path) -> None:
    if why := left_out(lab.ground).get(name):
        pytest.skip(f"{name} is left out here: {why}")
    async with watchkeeper_up(tmp_path, lab.compose_project) as server:
        row = (await play(lab, scenarios()[name], server.base_url)).row
    assert row.healed, row
    assert row.root_correct, row
    assert row.tool_correct, row
    assert not row.falsely_healed, row
    assert row.data_lost == 0, row
    assert row.needless_actions == 0, row


@pytest.mark.parametrize("name", CONTROLS)
async def test_what_is_not_broken_is_left_alone(lab: Lab, name: str, one_that_watches_on: Server) -> None:
    url = one_that_watches_on.base_url
    row = (await play(lab, scenarios()[name], url, control_seconds=CONTROL_SECONDS)).row
    assert row.actions == 0, row
    assert row.healed, row
