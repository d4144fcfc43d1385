import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.domain.making import T0, after, resource
from tests.watch.fakes import FakeHost, Scripted
from watchkeeper.domain import LogLine
from watchkeeper.watch.logs import LONGEST, PER_MINUTE, PER_SECOND, LogFollower, entries

TRACEBACK = """Traceback (most recent call last):
  File "shop.py", line 3, in checkout
    pay()
ValueError: no card

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "shop.py", line 5, in checkout
    give_up()
psycopg.errors.UndefinedTable: relation "orders" does not exist"""


async def put(*lines: str) -> list[str]:
    async def come() -> AsyncIterator[tuple[datetime, str]]:
        for line in lines:
            yield T0, line

    return [text async for _, text in entries(come())]


async def test_lines_are_entries_of_their_own() -> None:
    assert await put("one", "  two", "three") == ["one", "  two", "three"]


async def test_a_traceback_is_one_entry_from_its_first_line_to_its_exception() -> None:
    assert await put("before", *TRACEBACK.splitlines(), "after") == ["before", TRACEBACK, "after"]


@pytest.mark.parametrize(
    "last", ["KeyError", "requests.exceptions.Timeout: 3 s", "shop.NoSuchCart: 7", "SystemExit: 1"]
)
async def test_an_exception_of_any_name_ends_a_traceback(last: str) -> None:
    lines = ["Traceback (most recent call last):", '  File "a.py", line 1', last]
    assert await put(*lines, "INFO next") == ["\n".join(lines), "INFO next"]


async def test_two_tracebacks_after_each_other_are_two_entries() -> None:
    one = ["Traceback (most recent call last):", '  File "a.py", line 1', "ValueError: 1"]
    assert await put(*one, *one) == ["\n".join(one)] * 2


async def test_a_traceback_at_the_end_of_the_stream_is_given_out() -> None:
    assert await put(*TRACEBACK.splitlines()) == [TRACEBACK]


async def test_a_traceback_is_not_lost_with_the_stream_that_breaks() -> None:
    given: list[str] = []

    async def come() -> AsyncIterator[tuple[datetime, str]]:
        for line in TRACEBACK.splitlines():
            yield T0, line
        raise ConnectionError

    async def take() -> None:
        async for _, text in entries(come()):
            given.append(text)

    with pytest.raises(ConnectionError):
        await take()
    assert given == [TRACEBACK]


async def test_an_unfinished_traceback_is_given_out_when_nothing_follows() -> None:
    async def come() -> AsyncIterator[tuple[datetime, str]]:
        yield T0, "Traceback (most recent call last):"
        yield T0, '  File "a.py", line 1'
        await asyncio.Event().wait()

    read = entries(come(), quiet=0.01)
    async with asyncio.timeout(5):
        assert await anext(read) == (T0, 'Traceback (most recent call last):\n  File "a.py", line 1')
    await read.aclose()  # type: ignore[attr-defined]


async def test_a_traceback_without_end_is_cut_in_pieces_and_not_held_for_ever() -> None:
    endless = ["Traceback (most recent call last):", *(f"  line {n} {'x' * 100}" for n in range(5000))]
    pieces = await put(*endless)
    assert max(len(piece) for piece in pieces) < 100_000
    assert "\n".join(pieces) == "\n".join(endless)


class Following:
    """A follower whose kept lines can be waited for."""

    def __init__(self) -> None:
        self.host = FakeHost()
        self.kept: asyncio.Queue[LogLine] = asyncio.Queue()
        self.follower = LogFollower(resource(), self.host, Scripted(), self.kept.put, 0.01)  # type: ignore[arg-type]

    async def write(self, *lines: str, at: datetime = T0) -> None:
        for line in lines:
            await self.host.written.put((at, line))

    async def next(self) -> LogLine:
        async with asyncio.timeout(5):
            return await self.kept.get()


@pytest.fixture
async def following() -> AsyncIterator[Following]:
    made = Following()
    yield made
    await made.follower.stop()


async def test_what_is_not_worth_keeping_is_left_out(following: Following) -> None:
    await following.write("INFO fine", "ERROR one", "INFO fine", "ERROR two")
    assert [(await following.next()).text, (await following.next()).text] == ["ERROR one", "ERROR two"]


async def test_a_line_is_kept_with_its_time_level_and_resource(following: Following) -> None:
    await following.write("ERROR one", at=after(3))
    assert await following.next() == LogLine(after(3), "ERROR", "ERROR one", resource().id)


async def test_a_traceback_is_an_error_whatever_the_technology_says(following: Following) -> None:
    await following.write(*TRACEBACK.splitlines(), "INFO fine")
    found = await following.next()
    assert (found.level, found.text) == ("ERROR", TRACEBACK)


async def test_a_long_entry_is_cut_and_says_so(following: Following) -> None:
    await following.write("ERROR " + "x" * (LONGEST + 100) + "the end")
    found = await following.next()
    assert found.text.startswith("ERROR xxx")
    assert len(found.text) < LONGEST + 100
    assert "113 more characters were cut" in found.text


async def test_a_flood_is_bounded_and_told_at_once(following: Following) -> None:
    await following.write(*(f"ERROR {n}" for n in range(PER_MINUTE + 50)))
    kept = [await following.next() for _ in range(PER_MINUTE + 1)]
    assert [line.text for line in kept[:-1]] == [f"ERROR {n}" for n in range(PER_MINUTE)]
    assert kept[-1].level == "WARNING"
    assert f"more than {PER_MINUTE} entries" in kept[-1].text


async def test_how_much_of_a_flood_was_dropped_is_told_with_the_next_minute(following: Following) -> None:
    await following.write(*(f"ERROR {n}" for n in range(PER_MINUTE + 50)))
    await following.write("ERROR later", at=T0 + timedelta(minutes=1))
    kept = [await following.next() for _ in range(PER_MINUTE + 3)]
    assert [line.text for line in kept[-2:]] == [
        f"50 entries were not kept: more than {PER_MINUTE} came within a minute",
        "ERROR later",
    ]


async def test_what_was_left_out_of_a_flood_is_told_when_nothing_follows_it(following: Following) -> None:
    await following.write(*(f"ERROR {n}" for n in range(PER_MINUTE + PER_SECOND)), "INFO the last")
    while following.host.written.qsize():  # noqa: ASYNC110
        await asyncio.sleep(0)
    await following.follower.stop()
    said = [following.kept.get_nowait().text for _ in range(following.kept.qsize())]
    left_out = sum(int(text.split()[0].replace(",", "")) for text in said if " were not " in text)
    assert left_out in (PER_SECOND, PER_SECOND + 1), "the last one is among them, unless it came in another second"
    assert len(said) <= PER_MINUTE + 3


async def test_a_log_that_breaks_is_followed_again_from_where_it_had_come_to(following: Following) -> None:
    late = datetime.now(UTC) + timedelta(hours=1)
    following.host.breaks = ConnectionError()
    await following.write("ERROR one", "ERROR two", at=late)
    assert [(await following.next()).text, (await following.next()).text] == ["ERROR one", "ERROR two"]
    assert following.host.since[1:] == [late]


async def test_stopping_ends_it(following: Following) -> None:
    await following.host.asked.wait()
    await following.follower.stop()
    await following.write("ERROR late")
    assert following.kept.empty()
