"""The support-bot beside the shop: right answers, its cache, its customers, and what a Watchkeeper hears of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from tests.server.conftest import served
from watchkeeper.connectors import Registry
from watchkeeper.connectors.docker import connector as docker
from watchkeeper.connectors.model import ModelConnector
from watchkeeper.server import running
from watchkeeper.settings import Settings, WatchSettings
from watchkeeper_lab import Lab
from watchkeeper_lab.lab import quiet
from watchkeeper_lab.redis_link import redis_link
from watchkeeper_lab.support_bot import part
from watchkeeper_lab.support_bot.show import hear, sender

pytestmark = pytest.mark.lab
QUESTION = "I am still waiting on my card?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watchkeeper(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One that watches the lab's containers, and takes what monitors push."""
    settings = Settings(
        data=tmp_path_factory.mktemp("watchkeeper"), only=[lab.instance.project], watch=WatchSettings(discover=1)
    )
    async with running(settings, Registry([docker, ModelConnector()])) as runtime, served(runtime) as address:
        headers = {"Authorization": f"Bearer {runtime.token}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
            yield client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bot(lab: Lab, watchkeeper: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Through nginx; gone at the end, for the lab is not ours alone."""
    url = await part.start(lab, quiet, part.Server(str(watchkeeper.base_url), await sender(watchkeeper)))
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


async def test_a_reset_of_the_lab_leaves_it_its_customers(lab: Lab, bot: httpx.AsyncClient) -> None:
    await lab.reset()
    assert (await asked(bot, QUESTION, customer=4))["plan"] == "metal"


async def test_the_bot_is_watched_as_a_model_that_runs_in_its_container(
    lab: Lab, bot: httpx.AsyncClient, watchkeeper: httpx.AsyncClient
) -> None:
    await asked(bot, QUESTION)
    assert (await bot.post("push")).json()["problem"] == ""
    async with asyncio.timeout(60):
        while True:
            found = (await watchkeeper.get("/api/resources")).json()["items"]
            if model := next((one for one in found if one["kind"] == "model"), None):
                break
            await asyncio.sleep(0.2)  # it is found with the next discovery
    assert model["id"] == "monitor/lab/model/support-bot"
    assert model["runs_on"] == f"docker/lab/container/{lab.instance.project}_support-bot_1"


async def test_watchkeeper_hears_of_it_and_tells_a_shift_from_a_quiet_time(
    lab: Lab, bot: httpx.AsyncClient, watchkeeper: httpx.AsyncClient
) -> None:
    earlier = (await bot.get("summary")).json()["predictions"]

    told = await hear(lab, watchkeeper, quiet, number=80, rate=200)
    summary = (await watchkeeper.get("/api/models/support-bot/summary")).json()

    assert told.right, told
    assert told.before.shifted == []
    assert told.after.shifts["input_length"] == "large"
    assert told.after.shifts["confidence"] != "none"
    assert told.after.shifts["plan"] == "none"
    assert 110 + earlier <= told.before.predictions <= 120 + earlier  # a starved machine may fail to answer one
    assert 70 <= told.after.predictions <= 80
    assert told.after.confidence < told.before.confidence - 0.2
    assert told.after.escalated > told.before.escalated + 0.3
    assert summary["predictions"] == told.before.predictions + told.after.predictions
    assert summary["over"]["lost"] == 0
    assert summary["performance"]["segments"].keys() >= {"basic", "plus", "metal"}
