"""Policies of one's own say who may pause, change modes, approve and make tokens; some things no policy gives."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.test_door import problem
from tests.server.test_tokens import Comes, comes
from watchkeeper.decide import Access
from watchkeeper.domain import ConfigurationError, Principal
from watchkeeper.server import Runtime
from watchkeeper.server.app import access

__all__ = ["comes"]
Client = httpx.AsyncClient
Governed = Callable[[str], Access]


@pytest.fixture
def governed(runtime: Runtime, tmp_path: Path) -> Iterator[Governed]:
    """The server with policies of its user's own. Other tests share it."""
    before = runtime.access

    def govern(text: str) -> Access:
        path = tmp_path / "access.cedar"
        path.write_text(text)
        runtime.access = access(path)
        return runtime.access

    yield govern
    runtime.access = before


async def test_policy_takes_an_operation_from_some_and_says_why(
    comes: Comes, operator: Client, governed: Governed
) -> None:
    ada, grace = await comes("operator", "ada"), await comes("operator", "grace")
    governed("""
        @id("own/pause") @reason("Only grace pauses.")
        forbid(principal, action == Action::"pause", resource) unless { principal.name == "grace" };
        @id("own/no-more-modes")
        forbid(principal in Role::"admin", action == Action::"set_mode", resource);
    """)
    refused = await ada.post("/api/pause")
    problem(refused, 403)
    assert refused.json()["detail"] == "Only grace pauses (policy own/pause)."
    assert (await grace.post("/api/pause")).status_code == 200
    assert (await ada.post("/api/resume")).status_code == 200
    assert "own/no-more-modes" in (await operator.put("/api/mode", json={"mode": "observe"})).json()["detail"]
    assert (await grace.put("/api/mode", json={"mode": "approve"})).status_code == 200


async def test_policy_gives_one_operation_to_whose_role_has_it_not(comes: Comes, governed: Governed) -> None:
    oncall, vic = await comes("viewer", "oncall"), await comes("viewer", "vic")
    governed("""
        permit(principal == Principal::"person:oncall", action in [Action::"pause", Action::"resume"], resource);
        permit(principal, action == Action::"loosen_mode", resource) when { principal.name == "ada" };
    """)
    problem(await vic.post("/api/pause"), 403)
    assert (await oncall.post("/api/pause")).status_code == 200
    assert (await oncall.post("/api/resume")).status_code == 200
    problem(await oncall.put("/api/mode", json={"mode": "observe"}), 403)
    ada = await comes("operator", "ada")
    assert (await ada.put("/api/mode", json={"mode": "auto"})).status_code == 200
    assert (await ada.delete("/api/mode")).status_code == 200


async def test_no_policy_lets_an_agent_approve_or_a_sender_do_more_than_send(comes: Comes, governed: Governed) -> None:
    granted = governed("permit(principal, action, resource);")
    bot = await comes("agent", "bot")
    problem(await bot.post("/api/approvals/apr-none/approve", json={}), 403)
    problem(await bot.post("/api/tokens", json={"role": "admin", "name": "bot"}), 403)
    sender = Principal("person", "model", "sender")
    assert [granted.allows(sender, group) for group in ("submit", "operate", "approve", "administer")] == [False] * 4
    assert granted.allows(sender, "send", "push_labels")


async def test_each_operation_that_is_no_look_can_be_named(viewer: Client, runtime: Runtime) -> None:
    named = runtime.access.schema
    missing: set[str] = set()
    for methods in (await viewer.get("/openapi.json")).json()["paths"].values():
        for method in set(methods) & {"post", "put", "patch", "delete"}:
            operation = methods[method]["operationId"]
            if f'action "{operation}"' not in named:
                missing.add(operation)
    assert missing == {"slack_actions"}  # it is opened by Slack's signature


@pytest.mark.parametrize(
    "text",
    [
        'forbid(principal, action == Action::"pauze", resource);',
        "forbid(principal, action, resource) when { principal.nickname == 1 };",
        "forbid(",
    ],
)
def test_a_policy_that_does_not_fit_is_refused_when_it_is_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "access.cedar"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"policy\.access"):
        access(path)
