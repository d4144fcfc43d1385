"""`doctor` says of each model whether it is there and its key is taken; never the key."""

import asyncio
from typing import Any

import pytest

from tests.llm.loopback import Loopback, Reply, always
from watchkeeper.cli.finding import Finding
from watchkeeper.cli.language_models import language_models
from watchkeeper.settings import Settings

KEY = "AIzaSyTestKeyThatIsASecret0123456789abcd"


async def found(url: str, **said: Any) -> list[Finding]:
    models = [
        {"name": "google:gemini-2.5-pro", "url": url, "key": "env:TEST_GEMINI"},
        {"name": "openai:small", "url": f"{url}/v1"},
    ]
    settings = Settings(llm={"models": models}, **said)
    return await asyncio.to_thread(lambda: list(language_models(settings)))


async def test_what_answers_is_said_and_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GEMINI", KEY)
    models = Reply(raw=b'{"data": [{"id": "large"}]}')
    async with Loopback(always(Reply(raw=b'{"name": "models/gemini-2.5-pro"}'), models)) as server:
        gemini, small = await found(server.url)
        assert (gemini.state, gemini.found) == ("ok", f"google:gemini-2.5-pro at {server.url} answers")
        assert server.requests[0].headers["x-goog-api-key"] == KEY
        assert (small.state, "it has no small" in small.found, small.advice) == ("missing", True, "It has: ['large'].")
    async with Loopback(always(Reply(status=401))) as server:
        gemini, small = await found(server.url)
        assert [one.found.endswith("the key is refused") for one in (gemini, small)] == [True, True]
        assert KEY not in str((gemini, small))


async def test_nobody_there_no_key_and_nobody_who_would_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_GEMINI", raising=False)
    gemini, small = await found("http://127.0.0.1:9")
    assert "TEST_GEMINI is not set" in gemini.found
    assert "does not answer" in small.found
    idle, *models = await found("http://127.0.0.1:9", planner="runbooks")
    assert "plans nothing: planner is runbooks" in idle.found
    assert len(models) == 2  # they answer questions all the same
    assert list(language_models(Settings())) == []
