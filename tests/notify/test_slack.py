"""Slack's side of an incident, against a server that takes only what Slack's documentation describes."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.domain.making import CACHE
from tests.notify.conftest import Notifies, Story
from tests.notify.loopback import Actions, FakeSlack, Posted, Said, Section
from watchkeeper.domain import LOOP, Approval, Decision, Effect, Event, Plan, Principal, Step, now
from watchkeeper.store import Store

ADA = Principal("person", "ada", "admin")


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeSlack]:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-right")
    monkeypatch.setenv("SLACK_WRONG", "xoxb-wrong")
    monkeypatch.setenv("SLACK_SIGNING", "8f742231b10e8888abcd99yyyzzz85a5")
    async with FakeSlack().listening() as server:
        assert isinstance(server, FakeSlack)
        yield server


def bot(server: FakeSlack, **more: Any) -> dict[str, Any]:
    said = {"name": "shop", "kind": "slack", "token": "env:SLACK_TOKEN", "channel": "C1", "api": f"{server.url}/api"}
    return said | more


def texts(said: Posted) -> str:
    return " ".join(one.text.text for one in said.blocks or [] if isinstance(one, Section) and one.text)


def buttons(said: Posted) -> dict[str, str | None]:
    found = [one for block in said.blocks or [] if isinstance(block, Actions) for one in block.elements]
    return {one.text.text: one.value for one in found}


def approval(**more: Any) -> Approval:
    step = Step(
        "redis_set_maxmemory", CACHE.id, {"value": 1}, effect=Effect.REVERSIBLE, by_hand="CONFIG SET maxmemory 1"
    )
    plan = Plan("runbook:full#1", (step,), now())
    asked = Decision("ask", "lab/reversible", "it asks")
    ends = now() + timedelta(hours=1)
    return Approval("apr-1", "inc-1", "fix-1", plan, asked, "digest", LOOP, now(), ends, **more)


async def test_an_incident_is_one_message_that_is_kept_up_to_date_and_its_thread_tells_what_happens(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(bot(slack))
    one = await story().opened()
    await one.tell("fix.started", "runbook:full#1 begins: redis_set_maxmemory", subject="fix-1")
    await one.closed()
    await slack.until(5)  # a message; twice an update and a reply

    (root,) = slack.roots()
    assert "healed: it is well" in texts(root)
    assert root.blocks is not None
    assert ":white_check_mark:" in root.blocks[0].model_dump()["text"]["text"]
    assert [texts(reply) for reply in slack.replies()] == [
        "runbook:full#1 begins: redis_set_maxmemory",
        "healed: it is well",
    ]


async def test_what_waits_for_a_person_is_shown_in_the_channel_with_how_to_decide_until_somebody_has(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    signed = {"signing_secret": "env:SLACK_SIGNING", "people": {"U1": {"name": "ada", "role": "approver"}}}
    await notifies(bot(slack, **signed), public=True)
    one = await story().opened()
    asked = approval()
    await kept.save(asked)
    one.incident = one.incident.wait_for_approval("apr-1", LOOP)
    await one.tell("approval.requested", "redis_set_maxmemory waits for a person", subject="apr-1")
    await slack.until(3)
    (root,), (reply,) = slack.roots(), slack.replies()
    assert {"Approve": "apr-1", "Reject": "apr-1"}.items() <= buttons(root).items()
    assert "CONFIG SET maxmemory 1" in texts(root)
    assert reply.reply_broadcast

    await kept.save(asked.decide("approved", ADA, now()))
    one.incident = one.incident.unasked()
    await one.tell("approval.approved", "ada approved redis_set_maxmemory", subject="apr-1")
    await slack.until(5)
    (root,) = slack.roots()
    assert "Approve" not in buttons(root)
    assert "ada approved redis_set_maxmemory" in texts(root)


async def test_without_a_public_address_there_are_no_buttons_but_commands(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    await notifies(bot(slack))
    await kept.save(approval())
    await story().tell("approval.requested", "it waits", subject="apr-1")
    await slack.until(1)
    (root,) = slack.roots()

    assert "Approve" not in buttons(root)
    assert "watchkeeper approve apr-1" in texts(root)


async def test_what_waits_without_an_incident_has_buttons_too(
    slack: FakeSlack, notifies: Notifies, kept: Store
) -> None:
    signed = {"signing_secret": "env:SLACK_SIGNING", "people": {"U1": {"name": "ada", "role": "approver"}}}
    await notifies(bot(slack, **signed), public=True)
    await kept.save(approval(), Event("approval.requested", "apr-1", "an agent asks", now()))
    await slack.until(1)

    assert buttons(slack.roots()[0])["Approve"] == "apr-1"


async def test_an_incoming_webhook_is_told_each_change_and_no_step(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies({"name": "hook", "kind": "slack", "url": f"{slack.url}/services/T1/B1/secret"})
    one = await story().opened()
    await one.tell("fix.started", subject="fix-1")
    await one.closed()
    await slack.until(2)

    assert [said.text for said in slack.hooked] == [
        "[watchkeeper] inc-1: full on cache: It is full.",
        "[watchkeeper] cache, inc-1: healed: it is well",
    ]


async def test_a_message_that_was_deleted_is_made_anew(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(bot(slack))
    one = await story().opened()
    await slack.until(1)
    slack.posted.clear()
    await one.tell("incident.escalated", "nothing is left")
    await slack.until(3)
    await one.closed()
    await slack.until(5)

    assert len(slack.roots()) == 1
    assert len(slack.replies()) == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"token": "env:SLACK_WRONG"}, "invalid_auth"), ({"channel": "C2"}, "channel_not_found")],
)
async def test_while_the_token_or_the_channel_is_wrong_what_is_to_be_told_waits(
    wrong: dict[str, Any], why: str, slack: FakeSlack, notifies: Notifies, story: Callable[..., Story]
) -> None:
    one = await notifies(bot(slack, **wrong))
    await story().opened()
    await slack.until(2)
    assert (await one.standings())[0].waiting == 1
    assert (await one.test("shop", ADA)).said == why
    await one.stop()

    await notifies(bot(slack))
    while not slack.roots():
        await slack.until(len(slack.asked) + 1)


async def test_it_waits_as_long_as_slack_asks_for(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story]
) -> None:
    await notifies(bot(slack))
    slack.answers = [Said(429, headers=("Retry-After: 0",)), Said(200, {"ok": False, "error": "ratelimited"})]
    await story().opened()
    await slack.until(1)

    assert len(slack.roots()) == 1


async def test_what_is_told_can_neither_call_everybody_nor_make_a_link_nor_be_too_long(
    slack: FakeSlack, notifies: Notifies, story: Callable[..., Story], kept: Store
) -> None:
    await notifies(bot(slack))
    await story().tell("incident.escalated", "<!channel> <http://evil.example|click> " + "x" * 9000)
    await kept.emit(Event("breaker.opened", "grow", "<@U1> & " + "y" * 9000, now()))
    await slack.until(2)

    first, second = slack.roots()
    assert "<!channel>" not in texts(first)
    assert "&lt;!channel&gt;" in texts(first)
    assert "&lt;@U1&gt; &amp;" in texts(second)


async def test_a_check_asks_slack_about_the_token(slack: FakeSlack, notifies: Notifies) -> None:
    right = await notifies(bot(slack), bot(slack, name="wrong", token="env:SLACK_WRONG"))

    assert (await right.deliverers["shop"].channel.check()).result == "delivered"
    assert (await right.deliverers["wrong"].channel.check()).said == "invalid_auth"
    assert (await right.test("shop", ADA)).result == "delivered"
