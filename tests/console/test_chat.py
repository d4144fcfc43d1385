"""The chat in a real browser, before a real server and a Redis; the model is a script on loopback that speaks Gemini's
protocol: what is tested is the page, never how well a model reasons."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.cli.conftest import running
from tests.conftest import start_redis
from tests.console.conftest import AXE, PATIENCE, Site, reachable
from tests.console.test_console import without_stumbling
from tests.llm.loopback import Loopback, Reply, Request

STEP = {"tool": "redis_set_maxmemory", "resource": "cache", "why": "more room"}
STEP |= {"arguments": [{"name": "value", "value": str(48 << 20)}]}
FIX = {"summary": "Give it more room.", "cause": "It is nearly full.", "steps": [STEP]}


async def script(request: Request) -> Reply:
    """Looks and cites; or, asked what to do, proposes a fix."""
    looked = request.text.count("functionResponse")
    if "What would you do?" in request.text:
        return Reply(text="More room would help.") if looked else Reply(call=("propose_fix", FIX))
    if not looked:
        return Reply(call=("readings", {"resource": "cache", "metrics": ["used_memory_ratio"], "since": "5m"}))
    return Reply(text="Its memory is fine [R1], and nothing else is known [R77]. It is 98.7 % full [R1].", between=0.02)


@contextmanager
def model() -> Iterator[str]:
    """In a thread of its own: Playwright's is taken."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = Loopback(script)
    asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(10)
    try:
        yield made.url
        assert not made.wrong
    finally:
        asyncio.run_coroutine_threadsafe(made.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    reachable()
    folder = tmp_path_factory.mktemp("chat")
    (folder / "redis").mkdir()
    redis = start_redis(folder / "redis", "--maxmemory", "20mb")
    resource = {"name": "cache", "kind": "redis", "url": redis.url, "environment": "lab", "act": True}
    (folder / "key").write_text("not-a-real-key")
    config = folder / "watchkeeper.yaml"
    try:
        with model() as url:
            models = [{"name": "google:gemini-2.5-pro", "url": url, "key": f"file:{folder / 'key'}"}]
            said = {"resources": [resource], "only": ["cache"], "planner": "runbooks", "llm": {"models": models}}
            config.write_text(yaml.safe_dump(said))
            with running(folder / "data", "--config", str(config), "--mode", "auto") as up:
                up.until_line("What happens from here on")
                yield Site(up, {"cache": redis})
    finally:
        redis.stop()
        assert redis.process.stdout is not None
        redis.process.stdout.close()


@pytest.fixture
def tab(talking: Site, browser: Browser) -> Iterator[Page]:
    """Of somebody with the operator's token."""
    context = browser.new_context(base_url=talking.address)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/chat")
    page.evaluate("token => sessionStorage.setItem('watchkeeper-token', token)", talking.token)
    page.reload()
    yield page
    context.close()


def ask(page: Page, question: str) -> None:
    """With the keyboard alone."""
    page.get_by_role("textbox", name="Your question").focus()
    page.keyboard.type(question)
    page.keyboard.press("Enter")


def test_an_answer_comes_with_links_to_what_it_rests_on_and_can_be_sent_on(tab: Page) -> None:
    ask(tab, "How is the cache?")
    said = tab.get_by_role("log")
    expect(said).to_contain_text("Its memory is fine [R1]")
    expect(said).not_to_contain_text("R77")
    expect(said).to_contain_text("1 reference taken out")
    expect(said).to_contain_text("98.7 % does not stand in [R1], which it cites for it.")
    expect(tab.get_by_text("1 look", exact=True)).to_be_visible()
    expect(tab.get_by_role("textbox", name="Your question")).to_be_focused()
    tab.evaluate(AXE.read_text())
    assert without_stumbling(tab) == []

    tab.reload()
    expect(tab.get_by_role("log")).to_contain_text("Its memory is fine [R1]")
    tab.get_by_role("link", name="[R1]").first.click()
    expect(tab.get_by_role("heading", name="cache", level=1)).to_be_visible()
    tab.go_back()
    expect(tab.get_by_role("log")).to_contain_text("Its memory is fine")


def test_a_proposed_fix_is_a_button_and_nothing_is_done_before_it_is_pressed(talking: Site, tab: Page) -> None:
    ask(tab, "What would you do?")
    proposal = tab.get_by_role("region", name="Proposed fix")
    expect(proposal).to_contain_text("Give it more room.")
    expect(proposal).to_contain_text("value = 48 MiB")
    expect(tab.get_by_role("log")).to_contain_text("More room would help.")
    with talking.redis["cache"].client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(20 << 20)}

    proposal.get_by_role("button", name="Submit this fix").click()
    tab.get_by_role("dialog").get_by_role("button", name="Submit this fix").click()
    expect(proposal.get_by_role("status")).to_be_visible()
    tab.goto("/fixes")
    expect(tab.get_by_role("region", name="Fixes", exact=True)).to_contain_text("still well")
    with talking.redis["cache"].client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(48 << 20)}
    tab.goto("/interactions")
    expect(tab.get_by_role("main")).to_contain_text("google:gemini-2.5-pro")
    tab.evaluate(AXE.read_text())
    assert without_stumbling(tab) == []
