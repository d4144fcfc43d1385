"""A button in Slack decides as `watchkeeper approve` does: signed, and by those who are known and may."""

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.notify.loopback import Actions, FakeSlack, Posted
from tests.server.conftest import PATIENCE, SIGNING, Thing
from tests.server.test_approvals import ENDED
from watchkeeper.domain import Approval
from watchkeeper.server import Runtime

PATH = "/api/notify/slack/actions"


def pressed(approval: str, slack: FakeSlack, *, user: str = "U1", action: str = "watchkeeper_approve") -> bytes:
    said = {
        "type": "block_actions",
        "user": {"id": user},
        "actions": [{"type": "button", "action_id": action, "value": approval}],
        "response_url": f"{slack.url}/actions/T1/1/x",
    }
    return urlencode({"payload": json.dumps(said)}).encode()


def signed(body: bytes, *, secret: str = SIGNING, ago: float = 0) -> dict[str, str]:
    stamp = str(int(time.time() - ago))
    mark = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    form = "application/x-www-form-urlencoded"
    return {"Content-Type": form, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mark}"}


@pytest.fixture
async def outside(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """As Slack comes: by the proxy's name, without a token."""
    async with httpx.AsyncClient(
        base_url=address, headers={"Host": "watchkeeper.example.com"}, timeout=PATIENCE, verify=False
    ) as client:
        yield client


async def answered(slack: FakeSlack, number: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        while len(slack.answered) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return slack.answered


async def shown(slack: FakeSlack, approval: str, *, waits: bool) -> None:
    """Until a message offers to decide, or none does any more."""

    def offers(said: Posted) -> bool:
        blocks = [block for block in said.blocks or [] if isinstance(block, Actions)]
        return any(one.value == approval for block in blocks for one in block.elements)

    async with asyncio.timeout(PATIENCE):
        while any(map(offers, slack.roots())) != waits:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_button_lets_the_fix_run_once_and_the_message_says_who_decided(
    thing: Thing, outside: httpx.AsyncClient, slack: FakeSlack, runtime: Runtime
) -> None:
    thing.put(1.0)
    key = (await thing.approval())["id"]
    await shown(slack, key, waits=True)
    body = pressed(key, slack)
    first = await outside.post(PATH, content=body, headers=signed(body))
    assert first.status_code == 200
    assert (await thing.event(*ENDED)).kind == "incident.closed"
    assert thing.changes == [0.2]
    decided = await runtime.store.get(Approval, key)
    assert (decided.status, decided.decided_by, decided.note) == ("approved", "person:grace", "in Slack")
    await shown(slack, key, waits=False)

    before = len(slack.answered)
    assert (await outside.post(PATH, content=body, headers=signed(body))).status_code == 200
    assert "waits no more: it is approved" in (await answered(slack, before + 1))[-1]["text"]
    assert thing.changes == [0.2]


async def test_who_is_not_known_or_may_not_is_told_so_and_nothing_is_decided(
    thing: Thing, outside: httpx.AsyncClient, slack: FakeSlack, runtime: Runtime
) -> None:
    thing.put(1.0)
    key = (await thing.approval())["id"]
    before = len(slack.answered)
    for user in ("U9", "U2"):
        body = pressed(key, slack, user=user)
        assert (await outside.post(PATH, content=body, headers=signed(body))).status_code == 200
    said = (await answered(slack, before + 2))[before:]

    assert {one["response_type"] for one in said} == {"ephemeral"}
    texts = " ".join(one["text"] for one in said)
    assert "You (U9) are not known" in texts
    assert "vic has the role viewer" in texts
    assert (await runtime.store.get(Approval, key)).status == "waiting"

    body = pressed(key, slack, action="watchkeeper_reject")
    await outside.post(PATH, content=body, headers=signed(body))
    await thing.event("approval.rejected")
    assert thing.changes == []


async def test_what_slack_did_not_sign_now_is_refused(
    thing: Thing, outside: httpx.AsyncClient, slack: FakeSlack, runtime: Runtime
) -> None:
    thing.put(1.0)
    key = (await thing.approval())["id"]
    body = pressed(key, slack)
    forged = [
        {},
        signed(body, secret="guessed"),
        signed(body, ago=400),
        signed(body, ago=-400),
        signed(body + b"x"),
        signed(body) | {"X-Slack-Request-Timestamp": "²"},
    ]
    for headers in forged:
        raw = {name.encode(): value.encode() for name, value in headers.items()}
        answer = await outside.post(PATH, content=body, headers=raw)
        assert answer.status_code == 403, headers
    assert (await runtime.store.get(Approval, key)).status == "waiting"


@pytest.mark.parametrize("body", [b"", b"payload=1", b"payload=%7B%7D", b"\xff", b"payload=%5B%5D"])
async def test_what_is_signed_and_cannot_be_read_is_refused_in_words(body: bytes, outside: httpx.AsyncClient) -> None:
    answer = await outside.post(PATH, content=body, headers=signed(body))
    assert answer.status_code == 403
    assert answer.json()["detail"] == "That is nothing Slack would send."


async def test_another_hosts_name_is_still_refused(address: str, outside: httpx.AsyncClient) -> None:
    answer = await outside.get("/api/notify/channels", headers={"Host": "evil.example.com"})
    assert answer.status_code == 403


async def test_channels_are_listed_and_tested_over_the_api_by_who_may(
    operator: httpx.AsyncClient, viewer: httpx.AsyncClient, slack: FakeSlack
) -> None:
    (listed,) = (await viewer.get("/api/notify/channels")).json()["items"]
    assert (listed["name"], listed["kind"], listed["where"]) == ("shop", "slack", "C1, by a bot")
    assert (await viewer.post("/api/notify/channels/shop/test")).status_code == 401
    tried = (await operator.post("/api/notify/channels/shop/test")).json()
    assert tried == {"channel": "shop", "result": "delivered", "said": "ok"}
    assert any("a test of the channel shop" in said.text for said in slack.roots())
    assert (await operator.post("/api/notify/channels/nobody/test")).status_code == 404
    assert (await operator.post("/api/notify/dead/let-nope/retry")).status_code == 404
    assert (await viewer.get("/api/notify/dead")).json()["items"] == []
    assert (await operator.post("/api/notify/dead/retry", params={"channel": "shop"})).json()["items"] == []


async def test_the_command_line_lists_and_tests_them(address: str, runtime: Runtime, tmp_path: Path) -> None:
    async def typed(*words: str) -> tuple[int | None, str]:
        command = [str(Path(sys.executable).with_name("watchkeeper")), "--url", address, "notify", *words]
        environment = os.environ | {"WATCHKEEPER_TOKEN": runtime.token, "XDG_STATE_HOME": str(tmp_path)}
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=tmp_path, **pipes)
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, out.decode()

    listed, tested = await asyncio.gather(typed(), typed("test", "shop"))
    assert listed[0] == 0
    assert "C1, by a bot" in listed[1]
    assert tested == (0, "● shop: delivered: ok\n")
