"""What people do about incidents and fixes: each says what holds from then on, once, and is a row."""

from dataclasses import replace

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.memo import memo_set
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from watchkeeper.domain import Fix, Incident, Stop
from watchkeeper.server import Runtime

Client = httpx.AsyncClient


async def told(runtime: Runtime, incident: str, kind: str) -> int:
    """How many events of a kind tell of an incident."""
    return len([e for e in await runtime.store.events(incident=incident, limit=1000) if e.kind == kind])


async def at_work(thing: Thing, operator: Client) -> str:
    """Two steps are agreed to, and the first is being done: the incident's id."""
    thing.put(0.72)
    waiting = await thing.approval()
    assert (await operator.post(f"/api/approvals/{waiting['id']}/approve", json={})).status_code == 200
    await thing.begun()
    return str(waiting["incident"])


async def test_who_looks_after_it_is_told_once_and_the_loop_goes_on(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime
) -> None:
    thing.put(1.0)
    key = (await thing.approval())["incident"]
    path = f"/api/incidents/{key}/acknowledge"
    for _ in range(2):
        answer = await operator.post(path, json={"note": "on it"})
        assert answer.status_code == 200
        assert answer.json()["acknowledged"]["note"] == "on it"
    event = await thing.event("incident.acknowledged")
    assert (event.by, event.data["note"]) == (runtime.operator.id, "on it")
    assert await told(runtime, key, "incident.acknowledged") == 1
    assert (await thing.incident())["status"] == "awaiting_approval"
    problem(await viewer.post(path, json={}), 401)
    problem(await operator.post("/api/incidents/inc-none/acknowledge", json={}), 404)
    problem(await operator.post(path, json={"note": "x" * 1001}), 422)


async def test_a_fix_that_is_stopped_begins_no_further_step_and_is_left_to_people(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    key = await at_work(thing, operator)
    said = problem(await operator.post(f"/api/incidents/{key}/retry", json={}), 409)
    assert "at work" in said["detail"]
    for _ in range(2):
        answer = await operator.post(f"/api/incidents/{key}/stop", json={"note": "wrong time"})
        assert answer.json()["left"]["note"] == "wrong time"
    thing.let_go()
    ended = await thing.event("incident.escalated")
    assert "wrong time" in ended.text
    assert thing.changes == [0.75]
    fix = await runtime.store.get(Fix, (await thing.incident())["fixes"][0])
    assert [record.status for record in fix.steps] == ["done", "refused"]
    assert fix.stopped is not None
    assert (fix.verdict.outcome, fix.undo) == ("inconclusive", ())  # type: ignore[union-attr]
    assert await told(runtime, key, "incident.stopped") == 1

    thing.put(1.0)  # something new there: people have it
    await thing.event("alert.firing", after=ended.seq)
    await runtime.watch.look((thing.id,))
    assert (await thing.incident())["status"] == "escalated"
    assert await told(runtime, key, "approval.requested") == 1

    assert (await operator.post(f"/api/incidents/{key}/retry", json={})).json()["left"] is None
    await thing.event("approval.requested", after=ended.seq)
    again = await thing.approval()
    assert again["incident"] == key
    said = problem(await operator.post(f"/api/incidents/{key}/retry", json={}), 409)
    assert again["id"] in said["next"]


@pytest.mark.parametrize(
    ("verb", "ends"), [("escalate", ("escalated", None)), ("close", ("closed", "by_human"))], ids=["escalate", "close"]
)
async def test_what_is_said_while_a_fix_is_at_work_holds_once_its_step_has_ended(
    verb: str, ends: tuple[str, str | None], thing: Thing, operator: Client, runtime: Runtime
) -> None:
    key = await at_work(thing, operator)
    fix = (await thing.incident())["fixes"][0]
    for _ in range(2):
        answer = await operator.post(f"/api/incidents/{key}/{verb}", json={"note": "ours"})
        assert answer.status_code == 202, answer.text
        assert fix in answer.json()["waits_for"]
        assert answer.json()["status"] == "fixing"
    stop, kept = (
        await runtime.store.get(Stop, fix),
        await runtime.store.get(Incident, key),
    )  # rows: whoever goes on knows
    assert (stop.said.note, stop.undo, (kept.closing or kept.left).note) == ("ours", False, "ours")  # type: ignore[union-attr]
    assert "at work" in problem(await operator.post(f"/api/incidents/{key}/retry", json={}), 409)["detail"]
    thing.let_go()
    over = await thing.event("incident.closed" if verb == "close" else "incident.escalated")
    assert "ours" in over.text
    assert thing.changes == [0.75]
    done = await closed(runtime, fix)
    assert [record.status for record in done.steps] == ["done", "refused"]
    assert (done.verdict.outcome, done.undo) == ("inconclusive", ())  # type: ignore[union-attr]
    now = await thing.incident()
    assert (now["status"], now["outcome"], now["waits_for"]) == (*ends, None)
    if verb == "close":
        assert (over.by, "memo-slow fires still" in over.text) == (runtime.operator.id, True)
        assert await told(runtime, key, "incident.escalated") == 0


async def test_until_it_is_so_the_last_word_counts(thing: Thing, operator: Client, runtime: Runtime) -> None:
    key = await at_work(thing, operator)
    for verb in ("close", "escalate"):
        answer = await operator.post(f"/api/incidents/{key}/{verb}", json={"note": verb})
        assert answer.status_code == 202, answer.text
    assert "left to people" in answer.json()["waits_for"]
    thing.let_go()
    await thing.event("incident.escalated")
    assert (await thing.incident())["status"] == "escalated"
    assert await told(runtime, key, "incident.closed") == 0
    ended = await operator.post(f"/api/incidents/{key}/close", json={"note": "now"})
    assert (ended.status_code, ended.json()["outcome"]) == (200, "by_human")


async def test_a_fix_that_is_stopped_takes_back_what_it_did_where_that_is_wanted(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    key = await at_work(thing, operator)
    fix = (await thing.incident())["fixes"][0]
    assert (await operator.post(f"/api/fixes/{fix}/stop", json={"undo": True})).status_code == 200
    thing.let_go()
    await thing.event("incident.escalated")
    assert thing.changes == [0.75, 0.72]
    assert [record.status for record in (await closed(runtime, fix)).undo] == ["done"]
    said = problem(await operator.post(f"/api/fixes/{fix}/stop", json={}), 409)
    assert "over" in said["detail"]
    assert (await operator.post(f"/api/incidents/{key}/stop", json={})).status_code == 200  # it holds already


async def test_a_tool_called_by_hand_is_stopped_while_it_is_judged(
    thing: Thing, operator: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo_set, "settle", PATIENCE)  # judged for so long, were it not stopped
    thing.put(1.5)
    await thing.approval()
    body = {"resource": thing.slug, "arguments": {"value": 1.2}}  # does not help, and takes its time to show
    fix = (await operator.post("/api/mcp/tools/memo_set", json=body)).json()["fix_id"]
    await thing.event("fix.step.acting")
    assert (await operator.post(f"/api/fixes/{fix}/stop", json={"undo": True})).status_code == 200
    done = await closed(runtime, fix)
    assert done.verdict is not None
    assert done.verdict.outcome == "inconclusive"
    assert thing.changes == [1.2, 1.5]


async def test_what_waits_for_a_yes_is_withdrawn_when_somebody_stops_it(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    answer = await operator.post(f"/api/incidents/{waiting['incident']}/stop", json={})
    assert (answer.json()["status"], answer.json()["approval"]) == ("escalated", None)
    assert "void" in problem(await operator.post(f"/api/approvals/{waiting['id']}/approve", json={}), 409)["detail"]
    assert (await thing.event("incident.escalated")).by == runtime.operator.id
    assert thing.changes == []
    asked = await operator.post("/api/fixes/trigger", json={"resource": thing.slug})  # a person may, at any time
    assert asked.status_code == 202, asked.text
    assert (await closed(runtime, asked.json()["fix_id"])).verdict.outcome == "healed"  # type: ignore[union-attr]
    await thing.event("incident.closed")


async def test_it_is_handed_over_and_ended_by_hand_and_never_said_to_be_healed(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    thing.put(1.0)
    key = (await thing.approval())["incident"]
    for _ in range(2):
        assert (await operator.post(f"/api/incidents/{key}/escalate", json={})).json()["status"] == "escalated"
    assert await told(runtime, key, "incident.escalated") == 1
    problem(await operator.post(f"/api/incidents/{key}/close", json={}), 422)
    for _ in range(2):
        ended = (await operator.post(f"/api/incidents/{key}/close", json={"note": "known, harmless"})).json()
        assert (ended["status"], ended["outcome"]) == ("closed", "by_human")
    assert "memo-high fires still" in ended["reason"]
    assert await told(runtime, key, "incident.closed") == 1
    for verb in ("acknowledge", "stop", "retry", "escalate"):
        said = problem(await operator.post(f"/api/incidents/{key}/{verb}", json={}), 409)
        assert "known, harmless" in said["detail"]
    assert thing.changes == []


async def changed(thing: Thing, operator: Client, runtime: Runtime, value: float) -> str:
    body = {"resource": thing.slug, "arguments": {"value": value}}
    key = (await operator.post("/api/mcp/tools/memo_set", json=body)).json()["fix_id"]
    await closed(runtime, key)
    return str(key)


async def undoable(operator: Client, key: str) -> tuple[bool, str]:
    """What is told of taking it back, which changes nothing."""
    answer = (await operator.get(f"/api/fixes/{key}/undo")).json()
    return answer["possible"], answer["reason"]


async def test_a_finished_fix_is_taken_back_by_a_fix_with_a_proof_of_its_own(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await changed(thing, operator, runtime, 0.4)
    assert await undoable(operator, key) == (True, "")
    with monkeypatch.context() as two:
        two.setattr(runtime.decide.policy, "needs_two", lambda effect: True)
        possible, reason = await undoable(operator, key)
        assert (possible, reason.partition(": ")[0]) == (True, "it waits for another person")
    assert (await viewer.get(f"/api/fixes/{key}/undo")).status_code == 401
    await operator.post("/api/pause")
    assert "paused" in (await undoable(operator, key))[1]
    await operator.post("/api/resume")
    answers = [await operator.post(f"/api/fixes/{key}/undo", json={"note": "not needed"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[1].text
    (undo,) = {answer.json()["fix_id"] for answer in answers}
    done = await closed(runtime, undo)
    assert (done.verdict.outcome, done.plan.undoes, done.steps[0].undo_of) == ("healed", key, 0)  # type: ignore[union-attr]
    assert (done.steps[0].before, done.steps[0].after) == (0.4, 0.1)
    assert thing.changes == [0.4, 0.1]
    said = problem(await operator.post(f"/api/fixes/{key}/undo", json={}), 409)
    assert "as it was before" in said["detail"]
    assert await undoable(operator, key) == (False, said["detail"])


async def test_what_others_have_changed_since_or_has_no_undo_is_not_taken_back(
    thing: Thing, operator: Client, runtime: Runtime
) -> None:
    key = await changed(thing, operator, runtime, 0.4)
    thing.put(0.5)
    said = problem(await operator.post(f"/api/fixes/{key}/undo", json={}), 409)
    assert "changed by others" in said["detail"]
    assert (await undoable(operator, key))[0] is False
    fix = await runtime.store.get(Fix, key)
    wiped = replace(fix, id="fix-wiped", steps=(replace(fix.steps[0], tool="memo_wipe"),))
    await runtime.store.save(wiped)
    assert "memo_wipe has no undo" in problem(await operator.post("/api/fixes/fix-wiped/undo", json={}), 409)["detail"]
    await runtime.store.save(replace(fix, id="fix-idle", steps=(replace(fix.steps[0], status="refused"),)))
    assert "changed nothing" in problem(await operator.post("/api/fixes/fix-idle/undo", json={}), 409)["detail"]
    assert "has no undo" in (await undoable(operator, "fix-wiped"))[1]
    problem(await operator.post("/api/fixes/fix-none/undo", json={}), 404)
    problem(await operator.get("/api/fixes/fix-none/undo"), 404)
    assert thing.changes == [0.4]


async def test_what_a_person_took_back_stays_so_until_they_say_otherwise(
    thing: Thing, operator: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.decide.modes, "configured", "auto")
    thing.put(1.0)
    key = (await thing.event("incident.closed")).subject
    answer = await operator.post(f"/api/incidents/{key}/undo", json={})
    assert answer.status_code == 202, answer.text
    undo = await closed(runtime, answer.json()["fix_id"])
    assert (undo.verdict.outcome, undo.undo) == ("not_healed", ())  # type: ignore[union-attr]
    waiting = await thing.approval()  # mode auto, and all the same somebody is asked
    assert "took back memo_set" in waiting["decision"]["reason"]
    assert thing.changes == [0.2, 1.0]
    assert await told(runtime, key, "fix.taken_back") == 1
    (why,) = (await runtime.store.get(Incident, key)).refusals.values()
    assert "took it back" in why
    rejected = await operator.post(f"/api/approvals/{waiting['id']}/reject", json={})
    assert rejected.status_code == 200
    await thing.event("incident.escalated")
    assert thing.changes == [0.2, 1.0]
    assert (await operator.post(f"/api/incidents/{key}/retry", json={})).status_code == 200
    over = await thing.event("incident.closed", after=(await thing.event("incident.retried")).seq)
    assert over.text.startswith("healed")
    assert thing.changes == [0.2, 1.0, 0.2]


async def test_archived_fixes_are_left_out_of_lists_and_nothing_is_erased(
    thing: Thing, operator: Client, viewer: Client, runtime: Runtime
) -> None:
    key = await changed(thing, operator, runtime, 0.4)
    events = len(await runtime.store.events(limit=100_000))
    before = await operator.delete("/api/fixes", params={"before": "2020-01-01T00:00:00Z"})
    assert before.json() == {"archived": 0}
    assert len(await runtime.store.events(limit=100_000)) == events
    archived = await operator.delete("/api/fixes", params={"resource": thing.slug})
    assert archived.json() == {"archived": 1}
    listed = [fix["id"] for fix in (await viewer.get("/api/fixes")).json()["items"]]
    assert key not in listed
    everything = {fix["id"]: fix for fix in (await viewer.get("/api/fixes?archived=true")).json()["items"]}
    assert everything[key]["archived"]["by"] == runtime.operator.id
    assert (await viewer.get(f"/api/fixes/{key}")).json()["status"] == "closed"
    assert len(await runtime.store.events(limit=100_000)) == events + 1
    assert (await operator.delete("/api/fixes", params={"resource": thing.slug})).json() == {"archived": 0}
    problem(await operator.delete("/api/fixes", params={"resource": "nobody"}), 404)
