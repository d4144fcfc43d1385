"""The product's promise, on real services: each fault is found, fixed and proven; a control is left alone."""

from pathlib import Path

import pytest

from watchkeeper_lab import Lab
from watchkeeper_lab.row import Row
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import scenarios
from watchkeeper_lab.server import watchkeeper_up

pytestmark = pytest.mark.lab
FAULTS = [name for name, one in scenarios().items() if not one.is_control]
CONTROLS = [name for name, one in scenarios().items() if one.is_control and not one.is_long]
CONTROL_SECONDS = 15.0
"""Shorter than in the benchmark, where a control lasts three times the slowest rule's `for`."""


async def run(lab: Lab, name: str, folder: Path) -> Row:
    async with watchkeeper_up(folder, lab.compose_project) as server:
        return (await play(lab, scenarios()[name], server.base_url, control_seconds=CONTROL_SECONDS)).row


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_found_fixed_and_proven_with_nothing_lost(lab: Lab, name: str, tmp_path: Path) -> None:
    row = await run(lab, name, tmp_path)
    assert row.healed, row
    assert row.root_correct, row
    assert row.tool_correct, row
    assert not row.falsely_healed, row
    assert row.data_lost == 0, row
    assert row.needless_actions == 0, row


@pytest.mark.parametrize("name", CONTROLS)
async def test_what_is_not_broken_is_left_alone(lab: Lab, name: str, tmp_path: Path) -> None:
    row = await run(lab, name, tmp_path)
    assert row.actions == 0, row
    assert row.healed, row
