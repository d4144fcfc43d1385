"""The console's pages for practising, in a real browser, before a real server beside the session's lab."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from tests.cli.conftest import WATCHKEEPER, running
from tests.conftest import free_port
from tests.console.conftest import ARGUMENTS, AXE, CHROMIUM, reachable
from tests.console.test_console import without_stumbling
from tests.console.test_forms import tab_to
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.serve.benchmarks import kept

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
PATIENCE = 120_000.0
"""Milliseconds: the lab is reset before and after."""


@contextmanager
def served(lab: Lab, port: int) -> Iterator[None]:
    """`watchkeeper lab serve`, as a person starts it."""
    command = (str(WATCHKEEPER), "lab", "serve", "--name", lab.instance.name, "--port", str(port))
    process = Popen(command, stdout=PIPE, stderr=STDOUT, text=True)
    assert process.stdout is not None
    before = set(kept().glob("*.json"))
    try:
        assert any("listens on" in line for line in process.stdout)
        yield
    finally:
        for path in set(kept().glob("*.json")) - before:
            path.unlink()
        process.terminate()
        process.wait(60)
        process.stdout.close()


@pytest.mark.lab
def test_a_benchmark_begun_from_the_page_is_seen_step_by_step_and_kept_on_the_scoreboard(
    healthy_lab: Lab, tmp_path: Path
) -> None:
    reachable()
    port = free_port()
    config = tmp_path / "watchkeeper.yaml"
    with served(healthy_lab, port):
        token = f"file:{healthy_lab.instance.folder / 'serve-token'}"
        said = {"only": [healthy_lab.instance.project], "lab": {"url": f"http://127.0.0.1:{port}", "token": token}}
        config.write_text(yaml.safe_dump(said))
        with (
            running(tmp_path / "data", "--config", str(config), "--mode", "auto", DOCKER_HOST=ENGINE) as up,
            sync_playwright() as playwright,
        ):
            up.until_line("What happens from here on")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(base_url=f"http://127.0.0.1:{up.port}")
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            page.goto("/failures")
            operator = (up.data / "token").read_text().strip()
            page.evaluate("token => sessionStorage.setItem('watchkeeper-token', token)", operator)
            page.reload()
            expect(page.get_by_role("button", name="Inject redis-killed")).to_be_visible()
            assert without_stumbling(page) == []

            page.get_by_role("link", name="Validation").click()
            tab_to(page, "the whole suite")
            page.keyboard.type("redis-killed")
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            page.keyboard.press("Escape")
            tab_to(page, "Run benchmark")
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog").get_by_role("button", name="Run benchmark")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog")).to_have_count(0)
            run = page.get_by_role("region", name="redis-killed")
            expect(run).to_contain_text("running")
            expect(run).to_contain_text("docker_start")
            expect(run.locator(".step-right")).to_be_visible()
            expect(page.get_by_role("region", name="Scoreboard")).to_contain_text("1 of 1")
            expect(page.get_by_role("button", name="Stop it")).to_have_count(0)
            page.evaluate(AXE.read_text())
            assert without_stumbling(page) == []
            browser.close()
