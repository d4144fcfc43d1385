"""The support-bot beside the shop: right answers, its cache, its customers, and what a Watchkeeper hears of it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from tests.server.conftest import served
from watchkeeper.connectors import Registry
from watchkeeper.server import running
from watchkeeper.settings import Settings
from watchkeeper_lab import Lab
from watchkeeper_lab.lab import quiet
from watchkeeper_lab.redis_link import redis_link
from watchkeeper_lab.support_bot import part
from watchkeeper_lab.support_bot.replay import replay
from watchkeeper_lab.support_bot.shifts import Order

pytestmark = pytest.mark.lab
QUESTION = "I am still waiting on my card?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watchkeeper(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One that watches nothing, and takes what monitors push."""
    settings = Settings(data=tmp_path_factory.mktemp("watchkeeper"))
    async with running(settings, Registry([])) as runtime, served(runtime) as address:
        headers = {"Authorization": f"Bearer {runtime.token}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
            yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(lab: Lab, watchkeeper: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Through nginx; gone at the end, for the lab is not ours alone."""
    made = await watchkeeper.post("/api/tokens", json={"name": "support-bot", "role": "sender"})
    assert made.status_code == 201, made.text
    url = await part.start(lab, quiet, part.Server(str(watchkeeper.base_url), made.json()["token"]))
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            yield client
    finally:
        await part.stop(lab)
    assert not await part.there(lab)


async def asked(bot: httpx.AsyncClient, question: str, **more: Any) -> dict[str, Any]:
    answer = await bot.post("questions", json={"question": question, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_real_question_gets_its_intent_and_the_next_time_it_comes_from_redis(
    lab: Lab, bot: httpx.AsyncClient
) -> None:
    first, second = await asked(bot, QUESTION), await asked(bot, QUESTION)
    assert (first["intent"], first["escalated"], first["cached"]) == ("card_arrival", False, False)
    assert second == first | {"id": second["id"], "cached": True}
    async with redis_link(lab.instance.redis) as link:
        (key,) = await link.send("KEYS", "answers:*")
        await link.send("SET", key, '{"intent": "from_redis", "confidence": 0.9}')
        assert (await asked(bot, QUESTION))["intent"] == "from_redis"
        await link.send("DEL", key)
    card = (await bot.get("model")).json()
    assert card["accuracy"] > 0.88


async def test_who_is_not_understood_is_left_to_a_person_and_customers_are_known(
    lab: Lab, bot: httpx.AsyncClient
) -> None:
    said = await asked(bot, "hm", customer=4, id="not-understood")
    assert said["escalated"]
    assert said["plan"] == "metal"
    assert (await asked(bot, QUESTION, customer=-1))["plan"] == "unknown"
    async with await psycopg.AsyncConnection.connect(lab.instance.database_url) as connection:
        rows = await connection.execute("SELECT customer, question FROM bank_escalations WHERE id = 'not-understood'")
        assert await rows.fetchall() == [(4, "hm")]


async def test_watchkeeper_hears_of_it_and_tells_a_shift_from_a_quiet_time(
    lab: Lab, bot: httpx.AsyncClient, watchkeeper: httpx.AsyncClient
) -> None:
    api = "/api/models/support-bot"

    async def summary() -> dict[str, Any]:
        return (await watchkeeper.get(f"{api}/summary")).json()

    async def drifted() -> list[str]:
        return (await watchkeeper.get(f"{api}/drift")).json()["shifted"]

    quiet_time = await replay(lab, Order(number=120, rate=200, seed=1, labels=0.5))
    assert quiet_time.pushed == "0 wait"
    made = await watchkeeper.put(f"{api}/reference", json={"since": "2026-01-01T00:00:00Z"})
    assert made.status_code == 200, made.text
    more = await replay(lab, Order(number=60, rate=200, seed=2, labels=0.5))
    before = await summary()
    assert await drifted() == []
    shifted = await replay(lab, Order(("truncated",), number=120, rate=200, seed=3, labels=0.5))
    after = await summary()

    assert "question_length" in await drifted()
    answered = quiet_time.answered + more.answered
    assert answered == 180
    assert after["predictions"] - before["predictions"] == shifted.answered == 120
    assert after["over"]["lost"] == 0
    assert after["performance"]["accuracy_total"]["of"] == quiet_time.labels + more.labels + shifted.labels
    assert after["performance"]["accuracy_total"]["value"] < before["performance"]["accuracy_total"]["value"]
    assert after["business"]["escalation_rate"]["value"] > before["business"]["escalation_rate"]["value"]
    assert after["performance"]["segments"].keys() >= {"basic", "plus", "metal"}
