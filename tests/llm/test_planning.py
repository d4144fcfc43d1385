"""Whatever a model answers, a decision comes of it in time; nothing that was not checked leaves the planner.

Protocol tests: a server on loopback speaks Gemini's and OpenAI's wire protocols. They say nothing of how well any
model reasons.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.llm.conftest import CACHE, REGISTRY, Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, Request, always
from watchkeeper.decide.model import Thought
from watchkeeper.decide.model.answer import Answer
from watchkeeper.decide.model.checks import Case, complaints
from watchkeeper.decide.model.delimiting import Shown
from watchkeeper.domain import LOOP, Decision, Effect, Event, Evidence, Fix, Resource, StepRecord, Verdict, now
from watchkeeper.domain.interaction import Interaction
from watchkeeper.domain.situation import Situation
from watchkeeper.store import Store

KEY = "AIzaSyTestKeyThatIsASecret0123456789abcd"
GOOD = Reply(call=("hand_in", answer()))
STEP = answer()["steps"][0]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GEMINI", KEY)


async def thought(
    store: Store, script: Callable[[Request], Awaitable[Reply]], ratio: float = 0.6, **said: Any
) -> tuple[Thought, Loopback, list[Interaction]]:
    """What came of it, the server it was asked of, and what was kept of it, oldest first."""
    before = {one.id for one in await store.select(Interaction)}
    about, at = case(used_memory_ratio=ratio)
    async with Loopback(script) as server:
        made = planner(store, server.url, Around(at), **said)
        found = await made.plan(about, at)
    assert not server.wrong  # each request is what the vendor's own types describe
    return found, server, [one for one in await store.select(Interaction) if one.id not in before][::-1]


def first(reply: Reply, *then: Reply) -> Callable[[Request], Awaitable[Reply]]:
    """Gemini says this (and then the rest); the local server behind it a good plan."""
    gemini = always(reply, *then)

    async def script(request: Request) -> Reply:
        return await gemini(request) if request.gemini else GOOD

    return script


async def test_a_good_answer_becomes_a_plan_with_its_evidence(store: Store) -> None:
    found, server, kept = await thought(store, always(GOOD))
    assert found.plan is not None
    assert found.plan.diagnosis is not None
    assert found.plan.author == "llm:google:gemini-2.5-pro#1"
    (step,) = found.plan.steps
    assert (step.tool, step.arguments, step.effect) == (
        "redis_set_maxmemory",
        {"value": 120_000_000},
        Effect.REVERSIBLE,
    )
    assert [one.resource for one in found.plan.diagnosis.evidence] == ["local/lab/redis/cache"] * 2
    assert found.plan.diagnosis.confidence == 0.8
    assert [(one.model, one.input_tokens, one.output_tokens, one.checks) for one in kept] == [
        ("google:gemini-2.5-pro", 1000, 100, ())
    ]
    assert kept[0].prompt.startswith("plan/1 ")
    assert server.requests[0].headers["x-goog-api-key"] == KEY
    assert KEY not in server.requests[0].text + str(kept)


async def test_what_it_was_shown_is_within_the_stated_tokens_and_fenced(store: Store) -> None:
    _, server, kept = await thought(store, always(GOOD))
    assert len(server.requests[0].text) / 3.2 < 8000
    text = server.requests[0].body["contents"][0]["parts"][0]["text"]
    before, _, after = text.partition("redis-odd on cache, critical")
    assert before.rfind("<data-") > before.rfind("</data-")
    assert "</data-" in after
    assert kept[0].sent[0]["role"] == "instructions"


WRONG = {
    "an unknown tool": (
        answer(steps=[STEP | {"tool": "redis_flushall"}]),
        "there is no tool 'redis_flushall'; did you",
    ),
    "a value out of bounds": (
        answer(steps=[STEP | {"arguments": [{"name": "value", "value": 5}]}]),
        "greater than or equal to 1048576",
    ),
    "an argument that is none": (
        answer(steps=[STEP | {"arguments": [{"name": "size", "value": 5}]}]),
        "size: Extra inputs are not permitted",
    ),
    "a precondition that does not hold": (
        answer(steps=[STEP | {"tool": "redis_flush", "arguments": []}]),
        "redis_flush is refused now: 40% of the sampled keys",
    ),
    "a resource out of reach": (
        answer(root="elsewhere", steps=[STEP | {"resource": "elsewhere"}]),
        "'elsewhere' is not within this incident's reach",
    ),
    "evidence it never saw": (answer(evidence=["R1", "L77"]), "you were never shown L77"),
    "no evidence": (answer(evidence=[]), "rest it on at least one id"),
    "a look-up as a step": (answer(steps=[STEP | {"tool": "redis_info", "arguments": []}]), "only looks"),
    "neither a plan nor why not": (answer(steps=[]), "say in `nothing` why"),
    "a tool of another kind": (answer(steps=[STEP | {"tool": "docker_restart", "arguments": []}]), "works on a"),
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_what_is_wrong_is_said_exactly(wrong: str) -> None:
    bad, complaint = WRONG[wrong]
    about, at = case()
    shown = Shown({"R1": Evidence("local/lab/redis/cache", at.at, "a reading"), "A1": Evidence("x", at.at, "an alert")})
    against = Case(about, at, REGISTRY.tools, REGISTRY.kind_of_tool, REGISTRY.runbooks, frozenset())
    assert complaint in "\n".join(complaints(Answer.model_validate(bad), shown, against))
    assert complaints(Answer.model_validate(answer()), shown, against) == ()


async def test_what_is_wrong_is_sent_back_with_the_exact_complaint(store: Store) -> None:
    bad, complaint = WRONG["a value out of bounds"]
    found, server, kept = await thought(store, always(Reply(call=("hand_in", bad)), GOOD))
    assert found.plan is not None
    assert complaint in str(server.requests[1].body["contents"][-1])
    assert any(complaint in said for said in kept[0].checks)
    assert not kept[1].checks


async def test_a_harsher_step_is_sent_back_while_a_gentler_one_was_not_tried(store: Store) -> None:
    harsh = answer(steps=[{"tool": "redis_expire_cache_keys", "resource": "cache", "arguments": []}])
    found, server, _ = await thought(store, always(Reply(call=("hand_in", harsh)), GOOD), 0.97)
    assert found.plan is not None
    said = str(server.requests[1].body["contents"][-1])
    assert "redis_expire_cache_keys is disruptive; gentler for this cause, and not tried yet: " in said
    assert "redis_set_maxmemory" in said


async def test_after_two_complaints_the_next_model_is_asked(store: Store) -> None:
    found, server, kept = await thought(store, first(Reply(call=("hand_in", WRONG["no evidence"][0]))))
    assert [request.gemini for request in server.requests] == [True, True, True, False]
    assert found.plan is not None
    assert found.plan.author == "llm:openai:local#1"
    assert [bool(one.checks) for one in kept] == [True, True, True, False]


BROKEN = {
    "malformed": Reply(raw=b'{"candidates": [{"content": {"parts"'),
    "not JSON at all": Reply(raw=b"<html>welcome</html>"),
    "empty": Reply(text=""),
    "cut off": Reply(text='{"root": "ca', finish="MAX_TOKENS"),
    "a refusal": Reply(text="I cannot help with that.", finish="SAFETY"),
    "prose": Reply(text="I would restart it."),
    "too many requests": Reply(status=429, text="Resource has been exhausted"),
    "an error of theirs": Reply(status=503, text="overloaded"),
    "a wrong key": Reply(status=401, text=f"API key {KEY} not valid"),
    "a redirect": Reply(status=302, headers={"location": "http://127.0.0.1:9/elsewhere"}),
    "the same call again and again": Reply(call=("look", {"tool": "redis_info", "resource": "cache", "arguments": []})),
    "a function that is none": Reply(call=("run_shell", {"command": "rm -rf /"})),
}


@pytest.mark.parametrize("broken", list(BROKEN))
async def test_whatever_is_broken_the_next_model_is_asked(store: Store, broken: str) -> None:
    found, _, kept = await thought(store, first(BROKEN[broken]))
    assert found.plan is not None
    assert found.plan.author == "llm:openai:local#1"
    assert kept[-1].model == "openai:local"
    assert KEY not in str(kept)


async def test_one_that_hangs_is_left_in_time_and_all_that_hang_too(store: Store) -> None:
    late = Reply(delay=3600)
    found, _, kept = await thought(store, first(late), timeout=0.3)
    assert found.plan is not None
    assert kept[0].error == "no answer within 0.3 s"
    found, _, _ = await thought(store, always(late), timeout=60, deadline=0.5)
    assert found.plan is None
    assert "no plan within 0.5 s, all models together" in found.passed[0]


async def test_where_nobody_answers_it_says_so(store: Store) -> None:
    about, at = case()
    made = planner(store, "http://127.0.0.1:9", Around(at))
    found = await made.plan(about, at)
    assert found.plan is None
    assert await made.plan(about, at) is found  # nobody is asked again at once
    assert "google:gemini-2.5-pro: " in found.passed[0]
    assert "openai:local: " in found.passed[0]


async def test_nothing_should_be_done_is_an_answer(store: Store) -> None:
    quiet = answer(steps=[], nothing="It ends by itself.")
    found, _, _ = await thought(store, always(Reply(call=("hand_in", quiet))))
    assert found.plan is None
    assert found.nothing is not None
    assert found.passed == ("llm:google:gemini-2.5-pro#1 says that nothing should be done: It ends by itself.",)


async def test_it_may_look_further_and_only_look(store: Store) -> None:
    about, at = case()
    around = Around(at, answers={"redis_info": {"role": "master"}})
    look = {"tool": "redis_info", "resource": "cache", "arguments": []}
    restart = look | {"tool": "redis_restart"}
    cited = answer(evidence=["T1"])
    calls = [Reply(call=("look", restart)), Reply(call=("look", look)), Reply(call=("hand_in", cited))]
    async with Loopback(always(*calls)) as server:
        found = await planner(store, server.url, around).plan(about, at)
    assert around.looked == ["redis_info"]
    assert "'redis_restart' is none of the look-ups" in server.requests[1].text
    assert found.plan is not None
    assert found.plan.diagnosis is not None
    assert "master" in found.plan.diagnosis.evidence[0].what


async def test_a_provider_that_fails_is_not_asked_for_a_while_and_may_be_again(store: Store) -> None:
    about, at = case()
    async with Loopback(first(Reply(status=500))) as server:
        made = planner(store, server.url, Around(at), breaker_failures=1)
        assert (await made.plan(about, at)).plan is not None
        provider = made.settings.models[0].provider
        assert [state.provider for state in await made.breakers.all() if state.open(at.at)] == [provider]
        anew = planner(store, server.url, Around(at), breaker_failures=1)  # as after a restart
        asked = len(server.requests)
        assert (await anew.plan(about, at)).plan is not None
        assert [request.gemini for request in server.requests[asked:]] == [False]
        await anew.breakers.reset(provider, "person:me")
        assert not [state for state in await anew.breakers.all() if state.open(at.at)]
    said = [event.kind for event in await store.events(subject=provider)]
    assert said[-2:] == ["llm.breaker_opened", "llm.breaker_reset"]


@pytest.mark.parametrize(("name", "limit"), [("calls", {"calls": 1}), ("tokens", {"tokens": 15_000})])
async def test_what_is_spent_is_spent(store: Store, name: str, limit: dict[str, int]) -> None:
    wrong = Reply(call=("hand_in", WRONG["no evidence"][0]))
    about, at = case()
    async with Loopback(always(wrong)) as server:
        made = planner(store, server.url, Around(at), per_incident=limit, answer_tokens=9_000)
        found = await made.plan(about, at)
    assert found.plan is None
    assert "the budget for this incident is spent" in found.passed[0]
    assert len(server.requests) < 6  # as many as they would be
    spent: list[Event] = [event for event in await store.events(incident=about.id) if event.kind == "llm.spent"]
    assert spent


async def test_a_thought_is_not_thought_twice_and_three_plans_are_the_most(store: Store) -> None:
    about, at = case()
    async with Loopback(always(GOOD)) as server:
        made = planner(store, server.url, Around(at))
        one = await made.plan(about, at)
        again = await made.plan(about, at)
        assert one.plan is not None
        assert again.plan is not None
        assert again.plan.created_at == one.plan.created_at
        assert len(server.requests) == 1
        thrice = replace(about, tried=tuple(f"llm:google:gemini-2.5-pro#{n}@x" for n in (1, 2, 3)))
        found = await made.plan(thrice, at)
        assert found.plan is None
        assert "has planned 3 times" in found.passed[0]
        assert len(server.requests) == 1


async def test_what_did_not_help_is_in_the_next_prompt_and_the_next_plan_is_another(store: Store) -> None:
    """With each tool's result and the readings after; a third plan is the last (above)."""
    about, at = case(used_memory_ratio=0.97)
    async with Loopback(always(GOOD)) as server:
        made = planner(store, server.url, Around(at))
        one = await made.plan(about, at)
        assert one.plan is not None
        (step,) = one.plan.steps
        after = replace(at.readings[CACHE], metrics={"used_memory_ratio": 0.9612})
        verdict = Verdict("not_healed", ("redis-odd still fires",), at.readings[CACHE], (after,))
        record = StepRecord(0, step.tool, CACHE, step.arguments, "done", output={"was": 16_777_216})
        undone = replace(record, output=None)
        allowed = Decision("allow", "lab/reversible", "")
        fix = Fix(
            "fix-fed", about.id, one.plan, LOOP, allowed, "closed", now(), now(), {}, {}, (record,), (undone,), verdict
        )
        await store.save(fix)
        again = replace(about, tried=(one.plan.key,), fixes=(fix.id,))
        two = await made.plan(again, at)
    asked = server.requests[1].body["contents"][0]["parts"][0]["text"]
    told = asked[asked.index("## What was tried") : asked.index("## Resources within reach")]
    assert "llm:google:gemini-2.5-pro#1: not healed: redis-odd still fires" in told
    assert 'redis_set_maxmemory {"value": 120000000}: done and taken back {"was": 16777216}' in told
    assert "after  used_memory_ratio=0.9612" in told
    assert two.plan is not None
    assert two.plan.author == "llm:google:gemini-2.5-pro#2"


async def test_what_begins_to_suffer_while_it_thinks_does_not_spoil_its_plan(store: Store) -> None:
    """A minute of thinking is enough for a fault to reach everything that needs what it is on."""
    about, at = case(used_memory_ratio=0.97)
    shop = Resource("local/lab/http/shop", "shop", depends_on=(CACHE,))
    async with Loopback(always(GOOD)) as server:
        made = planner(store, server.url, Around(at))
        assert (await made.plan(about, at)).plan is not None

        def with_alert_at(firing_at: datetime) -> Situation:
            suffers = replace(at.alerts[0], id="al-2", resource=shop.id, firing_at=firing_at)
            known = {**at.resources, shop.id: shop}
            return replace(at, at=at.at + timedelta(seconds=60), resources=known, alerts=(*at.alerts, suffers))

        assert (await made.plan(about, with_alert_at(at.at + timedelta(seconds=5)))).plan is not None
        spoilt = await made.plan(about, with_alert_at(at.at - timedelta(seconds=5)))
        assert spoilt.plan is None
        assert "you say nothing about them: shop" in spoilt.passed[0]
        assert len(server.requests) == 1
