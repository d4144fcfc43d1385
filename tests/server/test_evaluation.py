"""The evaluation over the API: of what really happened here."""

import httpx

from tests.server.conftest import Thing
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from watchkeeper.server import Runtime


async def test_a_healed_fault_is_in_the_evaluation_with_its_times_and_before_and_after(
    thing: Thing, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    await operator.post(f"/api/approvals/{waiting['id']}/approve", json={})
    await closed(runtime, waiting["fix"])
    await thing.event("incident.closed")
    answer = (await viewer.get("/api/evaluation", params={"bucket": "week"})).json()
    (mine,) = [group for group in answer["by"]["resource"] if group["name"] == thing.id]
    assert (mine["fixes"]["healed"], mine["fixes"]["tried"], mine["fixes"]["rate"]) == (1, 1, None)
    assert "no rate" in mine["fixes"]["said"]
    assert mine["seconds"]["repair"]["median"] >= mine["seconds"]["verify"]["median"] > 0
    assert "memo-high" in [group["name"] for group in answer["by"]["rule"]]
    (told,) = [one for one in answer["before_after"] if one["id"] == waiting["fix"]]
    assert (told["metric"], told["before"], told["after"], told["outcome"]) == ("level", 1.0, 0.2, "healed")
    nothing = (await viewer.get("/api/evaluation", params={"until": "2020-01-01T00:00:00Z"})).json()
    assert (nothing["fixes"]["said"], nothing["before_after"]) == ("none yet", [])
    problem(await viewer.get("/api/evaluation", params={"bucket": "year"}), 422)
    assert (await viewer.get("/api/evaluation", params={"until": "0001-01-01T00:00:00Z"})).status_code == 200
