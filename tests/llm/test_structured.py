"""A plan handed in as structured output, beside functions to look with. Protocol tests: the models are scripts."""

import json
from typing import Any

import pytest

from tests.llm.conftest import Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, always
from watchkeeper.domain.interaction import Interaction
from watchkeeper.store import Store

LOOK = Reply(call=("look", {"tool": "redis_info", "resource": "cache"}))
WRONG = Reply(text=json.dumps(answer(evidence=["L77"])))
CUT = Reply(text=json.dumps(answer())[:150])
GOOD = Reply(text=json.dumps(answer()))


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("google:gemini-3-pro", "", {"key": "env:TEST_GEMINI"}),
        ("openai:local", "/v1", {"output": "native"}),
    ],
)
async def test_it_looks_by_functions_and_hands_in_what_fits_the_schema(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, path: str, said: dict[str, Any]
) -> None:
    """What was cut off and what fails a check is sent back, as with a function."""
    monkeypatch.setenv("TEST_GEMINI", "AIzaSyTestKeyThatIsASecret0123456789abcd")
    about, at = case(used_memory_ratio=0.6)
    around = Around(at)
    async with Loopback(always(LOOK, CUT, WRONG, GOOD)) as server:
        models = [{"name": name, "url": server.url + path, **said}]
        found = await planner(store, server.url, around, models=models).plan(about, at)
    assert found.plan is not None
    assert [step.tool for step in found.plan.steps] == ["redis_set_maxmemory"]
    assert around.looked == ["redis_info"]
    assert server.wrong == []
    for request in server.requests:
        if request.gemini:
            asked = request.body["generationConfig"]
            assert asked["responseMimeType"] == "application/json"
            schema = asked["responseJsonSchema"]
            (functions,) = (tool["functionDeclarations"] for tool in request.body["tools"])
            assert [one["name"] for one in functions] == ["look"]
        else:
            schema = request.body["response_format"]["json_schema"]["schema"]
            assert [tool["function"]["name"] for tool in request.body["tools"]] == ["look"]
        assert {"root", "evidence", "steps", "nothing"} <= schema["properties"].keys()
    kept = await store.select(Interaction, incident=about.id)
    assert [bool(one.checks) for one in kept[::-1]] == [False, False, True, False]


async def test_gemini_before_its_third_generation_is_asked_by_functions_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_GEMINI", "AIzaSyTestKeyThatIsASecret0123456789abcd")
    about, at = case(used_memory_ratio=0.6)
    async with Loopback(always(Reply(call=("hand_in", answer())))) as server:
        assert (await planner(store, server.url, Around(at)).plan(about, at)).plan is not None
    (request,) = server.requests
    assert "responseJsonSchema" not in request.body.get("generationConfig", {})
    assert [one["name"] for one in request.body["tools"][0]["functionDeclarations"]] == ["look", "hand_in"]
