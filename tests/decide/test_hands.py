"""How many fixes are at work at the same time."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.decide.hands import Hands

works = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"), max_size=3)), min_size=1, max_size=8
)


@given(works, st.integers(1, 4), st.integers(1, 3))
def test_never_more_than_allowed_and_all_get_their_turn(
    wanted: list[tuple[str, set[str]]], overall: int, nearby: int
) -> None:
    async def run() -> None:
        hands = Hands(overall, nearby)
        working: list[int] = []
        done: list[int] = []

        async def work(number: int) -> None:
            own, near = wanted[number]
            async with hands.taken((own,), near):
                around = {own, *near}
                others = [(wanted[n][0], {wanted[n][0], *wanted[n][1]}) for n in working]
                assert len(others) < overall
                assert own not in {theirs for theirs, _ in others}
                assert sum(bool(around & theirs) for _, theirs in others) < nearby
                working.append(number)
                await asyncio.sleep(0)
                working.remove(number)
                done.append(number)

        await asyncio.gather(*(work(number) for number in range(len(wanted))))
        assert sorted(done) == list(range(len(wanted)))

    asyncio.run(run())


async def test_it_says_whether_it_had_to_be_waited_for() -> None:
    hands = Hands(4, 1)
    async with hands.taken(("a",), ("b",)) as waited:
        assert not waited
        async with hands.taken(("c",), ()) as waited:
            assert not waited
        second = asyncio.create_task(first_said(hands))
        await asyncio.sleep(0)
    assert await second


async def first_said(hands: Hands) -> bool:
    async with hands.taken(("b",), ()) as waited:
        return waited
