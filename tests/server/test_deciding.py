"""The page that a link in a message leads to: it decides by nothing but a token."""

from urllib.parse import urlencode

import httpx

from tests.notify.loopback import Actions, FakeSlack
from tests.server.conftest import Thing
from tests.server.test_slack import outside, shown
from watchkeeper.domain import Approval
from watchkeeper.server import Runtime

__all__ = ["outside"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_link_in_a_message_leads_to_a_page_that_decides_by_a_token_alone(
    thing: Thing, outside: httpx.AsyncClient, slack: FakeSlack, runtime: Runtime
) -> None:
    thing.put(1.0)
    key = (await thing.approval())["id"]
    await shown(slack, key, waits=True)
    actions = [block for said in slack.roots() for block in said.blocks or [] if isinstance(block, Actions)]
    links = [one.url for block in actions for one in block.elements if one.action_id == "watchkeeper_open_decide"]
    assert f"https://watchkeeper.example.com/api/approvals/{key}/decide" in links
    path = f"/api/approvals/{key}/decide"

    page = await outside.get(path)
    assert page.status_code == 200
    assert "<form" in page.text
    assert "script" not in page.headers["content-security-policy"]

    async def sent(**said: str) -> httpx.Response:
        return await outside.post(path, content=urlencode(said), headers=FORM)

    for token in ("", "guessed", "²"):
        refused = await sent(token=token, to="approved")
        assert refused.status_code == 401
    assert (await runtime.store.get(Approval, key)).status == "waiting"
    plan = await sent(token=runtime.token, to="show")
    assert thing.id in plan.text
    assert (await runtime.store.get(Approval, key)).status == "waiting"

    done = await sent(token=runtime.token, to="rejected", note="<b>not now</b>")
    assert (done.status_code, "Rejected by" in done.text, "<form" in done.text) == (200, True, False)
    assert (await runtime.store.get(Approval, key)).note == "<b>not now</b>"
    again = await sent(token=runtime.token, to="approved")
    assert (again.status_code, "waits no more" in again.text) == (409, True)
    assert thing.changes == []


async def test_what_is_in_the_address_stays_text(outside: httpx.AsyncClient) -> None:
    page = await outside.get("/api/approvals/%3Cscript%3Ealert(1)/decide")
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text
