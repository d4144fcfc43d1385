"""The console in a real Chromium, against a real server that watches a real Redis: one of each for all of these tests.
Each has a tab of its own, in one browser that keeps the files it has."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.cli.conftest import Up, running
from tests.conftest import RedisServer, start_redis
from watchkeeper.domain import Event, Incident, now
from watchkeeper.server.console import FILES
from watchkeeper.store import Store

PATIENCE = 60_000.0
"""Milliseconds that are waited for what must come."""
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"


@dataclass
class Site:
    """What the pages are about: two servers, in mode approve, in an up of their own."""

    up: Up
    redis: dict[str, RedisServer]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.up.port}"

    @property
    def token(self) -> str:
        return (self.up.data / "token").read_text().strip()

    def fill(self, name: str) -> None:
        """Until it takes no more."""
        with self.redis[name].client() as client:
            try:
                for number in range(100_000):
                    client.set(f"page:{number}", "x" * 100_000)
            except redis.ResponseError:
                return
        raise AssertionError("it never got full")

    def empty(self, name: str) -> None:
        with self.redis[name].client() as client:
            client.flushall()


def reachable() -> None:
    """Skips where the pages, or the browser, are not there."""
    if not (FILES / "index.html").is_file() or not AXE.is_file():
        pytest.skip("the console is not built: scripts/console says what is missing")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip("there is no Chromium: apt-get install chromium")


LONG_AGO = 120
"""Incidents of two days ago; the first of them has a long story."""
LONG = 1200


async def history(data: Path) -> None:
    """What a server that has run for long has in its store."""
    began = now() - timedelta(days=2)
    async with (
        Store.open(f"sqlite+aiosqlite:///{data / 'watchkeeper.db'}") as store,
        store.transaction() as transaction,
    ):
        for number in range(LONG_AGO):
            at, key = began + timedelta(minutes=number), f"inc-old{number}"
            old = Incident(key, f"old fault {number}", GONE, (GONE,), at).close("recovered", at + timedelta(seconds=30))
            await transaction.put(old)
        for number in range(LONG):
            at = began + timedelta(milliseconds=20 * number)
            await transaction.emit(Event("alert.firing", GONE, f"moment {number}", at, incident="inc-old0"))


GONE = "local/lab/redis/gone"


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    reachable()
    folder = tmp_path_factory.mktemp("console")
    servers: dict[str, RedisServer] = {}
    for name in ("cache", "carts"):
        (folder / name).mkdir()
        servers[name] = start_redis(folder / name, "--maxmemory", "20mb")
    resources = [
        {
            "name": name,
            "kind": "redis",
            "url": server.url,
            "environment": "lab",
            "act": True,
            "depends_on": [] if name == "cache" else ["cache"],
            "settings": {"cache_keys": "page:*"},
        }
        for name, server in servers.items()
    ]
    config = folder / "watchkeeper.yaml"
    said = {"resources": resources, "rules": {"redis-memory-full": {"for": "500ms"}}}
    config.write_text(yaml.safe_dump(said | {"policy": {"cooldown": 0, "changes_per_hour": 100}}))
    (folder / "data").mkdir()
    with ThreadPoolExecutor() as thread:  # Playwright's loop may run in this one
        thread.submit(asyncio.run, history(folder / "data")).result()
    try:
        with running(folder / "data", "--config", str(config), "--mode", "approve") as up:
            up.until_line("What happens from here on")
            yield Site(up, servers)
    finally:
        for server in servers.values():
            server.stop()
            assert server.process.stdout is not None
            server.process.stdout.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context(site: Site, browser: Browser) -> Iterator[BrowserContext]:
    """One for all tabs, so that files are asked for once."""
    context = browser.new_context(base_url=site.address)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(site: Site, context: BrowserContext) -> Iterator[Page]:
    """A tab of somebody who only looks. Nothing is asked of anybody else, and nothing is refused or goes wrong."""
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((site.address, "data:", "blob:")) else wrong.append(asked.url),
    )
    yield page
    page.close()
    assert not wrong


@pytest.fixture
def operator(site: Site, page: Page) -> Page:
    """The same, with the operator's token."""
    page.add_init_script(f"sessionStorage.setItem('watchkeeper-token', '{site.token}')")
    return page
