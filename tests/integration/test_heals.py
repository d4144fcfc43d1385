"""The product's promise, on real services: each fault is found, fixed and proven."""

from collections.abc import AsyncGenerator

import pytest

from tests.integration.chosen import SLOW
from watchkeeper_lab import Lab
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import left_out, scenarios
from watchkeeper_lab.server import Server, watchkeeper_up

pytestmark = pytest.mark.lab
FAULTS = [name for name, one in scenarios().items() if not (one.is_control or one.unforeseen or name in SLOW)]
AT_MOST = 5
"""Faults that one Watchkeeper lives through in turn: each of another service, so that none spends the changes per hour,
or the history, of the next."""


def in_turn() -> list[tuple[int, str]]:
    """Each fault with the number of the Watchkeeper that lives through it, in their order."""
    lives: list[tuple[set[str], list[str]]] = []
    for name in FAULTS:
        services = {root.service.split("-")[0] for root in scenarios()[name].roots}
        life = next((one for one in lives if not one[0] & services and len(one[1]) < AT_MOST), None)
        if life is None:
            lives.append(life := (set(), []))
        life[0].update(services)
        life[1].append(name)
    return [(number, name) for number, life in enumerate(lives) for name in life[1]]


@pytest.fixture(scope="module")
async def one_that_heals(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    """A Watchkeeper for the faults with its number."""
    async with watchkeeper_up(tmp_path_factory.mktemp(f"faults-{request.param}"), lab.compose_project) as server:
        yield server


@pytest.mark.parametrize(("one_that_heals", "name"), in_turn(), indirect=["one_that_heals"])
async def test_a_fault_is_found_fixed_and_proven_with_nothing_lost(lab: Lab, one_that_heals: Server, name: str) -> None:
    if why := left_out(lab.ground).get(name):
        pytest.skip(f"{name} is left out here: {why}")
    row = (await play(lab, scenarios()[name], one_that_heals.base_url)).row
    assert row.healed, str(row)
    assert row.root_correct, str(row)
    assert row.tool_correct, str(row)
    assert not row.falsely_healed, str(row)
    assert row.data_lost == 0, str(row)
    assert row.needless_actions == 0, str(row)
