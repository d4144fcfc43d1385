"""The product's promise, on real services: each fault is found, fixed and proven."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.integration.chosen import SLOW
from watchkeeper_lab import Lab
from watchkeeper_lab.runner import play
from watchkeeper_lab.scenario import left_out, scenarios
from watchkeeper_lab.server import Server, watchkeeper_up

pytestmark = pytest.mark.lab
Live = Callable[[int], Awaitable[Server]]
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
async def lives(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Live]:
    """Gives the Watchkeeper with this number: the one that lives, or the next, once that has ended."""
    async with AsyncExitStack() as last:
        living: dict[int, Server] = {}

        async def live(number: int) -> Server:
            if number not in living:
                await last.aclose()
                living.clear()
                folder = tmp_path_factory.mktemp(f"faults-{number}")
                living[number] = await last.enter_async_context(watchkeeper_up(folder, lab.compose_project))
            return living[number]

        yield live


@pytest.mark.parametrize(("number", "name"), in_turn())
async def test_a_fault_is_found_fixed_and_proven_with_nothing_lost(
    lab: Lab, lives: Live, number: int, name: str
) -> None:
    if why := left_out(lab.ground).get(name):
        pytest.skip(f"{name} is left out here: {why}")
    row = (await play(lab, scenarios()[name], (await lives(number)).base_url)).row
    assert row.healed, str(row)
    assert row.root_correct, str(row)
    assert row.tool_correct, str(row)
    assert not row.falsely_healed, str(row)
    assert row.data_lost == 0, str(row)
    assert row.needless_actions == 0, str(row)
