"""The product's first promise, on real services: what is not broken is left alone."""

from collections.abc import AsyncGenerator

import pytest

from tests.integration.chosen import SLOW
from watchkeeper_lab import Lab
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import left_out, scenarios
from watchkeeper_lab.server import Server, watchkeeper_up

pytestmark = pytest.mark.lab
CONTROLS = [name for name, one in scenarios().items() if one.is_control and not one.is_long and name not in SLOW]
CONTROL_SECONDS = 15.0
"""Shorter than in the benchmark, where a control lasts three times the slowest rule's `for`."""


@pytest.fixture(scope="module")
async def one_that_watches_on(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Server]:
    """One Watchkeeper through all controls, and through what is put right between them: none leaves anything behind."""
    async with watchkeeper_up(tmp_path_factory.mktemp("controls"), lab.compose_project) as server:
        yield server


@pytest.mark.parametrize("name", CONTROLS)
async def test_what_is_not_broken_is_left_alone(lab: Lab, name: str, one_that_watches_on: Server) -> None:
    if why := left_out(lab.ground).get(name):
        pytest.skip(f"{name} is left out here: {why}")
    url = one_that_watches_on.base_url
    row = (await play(lab, scenarios()[name], url, control_seconds=CONTROL_SECONDS)).row
    assert row.actions == 0, str(row)
    assert row.healed, str(row)
