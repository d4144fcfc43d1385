"""How the console bears a thousand resources, in a real Chromium before a real `watchkeeper up`.

Run: .venv/bin/python -m benchmarks.console --json benchmarks/results/console.json

What the first page loads; the time between frames while the overview is scrolled by the wheel; and the same while
something happens twenty times a second. Beside each, how long the page's main thread was busy in a second of it: on a
machine that does much else, that says more than the time between frames. A long task is one of 50 ms or more (W3C).
The figures of all resources move with each look, so that what is told is news to the rows, too.
"""

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import yaml
from playwright.sync_api import CDPSession, Page, sync_playwright
from tests.console.conftest import ARGUMENTS, CHROMIUM
from tests.crash import harness
from tests.crash.harness import Server

from benchmarks.api import quantiles
from benchmarks.many import installed
from watchkeeper import __version__

FRAMES = """() => {
    window.long_ = []; window.sees_?.disconnect();
    window.sees_ = new PerformanceObserver((list) =>
        list.getEntries().forEach(({duration}) => window.long_.push(duration)));
    window.sees_.observe({type: 'longtask'});
    window.frames_ = []; window.counts_ = true; let last = performance.now();
    const next = (now) => {
        window.frames_.push(now - last); last = now;
        if (window.counts_) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
}"""
LOADED = """() => {
    const files = performance.getEntriesByType('resource').filter(({name}) => name.endsWith('.js'));
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    return [files.length, files.reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0), paint?.startTime ?? null];
}"""
WHEEL = 120
"""Pixels a turn, as a mouse's own: 2,400 a second, 42 rows."""
EVERY = 0.05
"""Seconds between turns of the wheel, and between what happens."""
HANDS = 10
"""Threads that make it happen: on a busy machine one alone waits too long for each answer."""


def busy(devtools: CDPSession) -> dict[str, float]:
    """Seconds of the main thread so far."""
    told = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    return {name: told[name] for name in ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")}


def watched(page: Page, devtools: CDPSession, seconds: float, scrolls: bool) -> dict[str, Any]:
    """Frames and the main thread's work in so many seconds."""
    before, began = busy(devtools), time.monotonic()
    page.evaluate(FRAMES)
    turn = 0
    while time.monotonic() - began < seconds:
        if scrolls:
            turn += 1
            page.mouse.wheel(0, WHEEL if turn // 60 % 2 == 0 else -WHEEL)
        page.wait_for_timeout(1000 * EVERY)
    frames: list[float] = page.evaluate("() => { window.counts_ = false; return window.frames_; }")
    long: list[float] = page.evaluate("window.long_")
    spent, lasted = busy(devtools), time.monotonic() - began
    return {
        "seconds": round(lasted, 1),
        "frames": len(frames),
        "between_frames": quantiles([one / 1000 for one in frames]),
        "frames_over_50_ms": sum(one > 50 for one in frames),
        "long_tasks": {"count": len(long), "longest_ms": round(max(long, default=0.0), 1)},
        "main_thread_ms_per_second": {name: round(1000 * (spent[name] - before[name]) / lasted, 1) for name in before},
    }


class Happening:
    """Something that happens twenty times a second, told to whoever follows."""

    def __init__(self, server: Server) -> None:
        self._server, self._ends, self.count = server, threading.Event(), 0
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(HANDS)]

    def _run(self, number: int) -> None:
        token = (self._server.data / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=self._server.url, headers=headers, timeout=30, trust_env=False) as client:
            due = time.monotonic() + number * EVERY
            self._ends.wait(number * EVERY)
            while not self._ends.is_set():
                client.post("/api/resume" if number % 2 else "/api/pause").raise_for_status()
                self.count += 1
                due += HANDS * EVERY
                self._ends.wait(max(0.0, due - time.monotonic()))

    def __enter__(self) -> "Happening":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()


def seen(server: Server, number: int, seconds: float) -> dict[str, Any]:
    """What a person's browser makes of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        began = time.monotonic()
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.locator(".row").first.wait_for()
        shown = time.monotonic() - began
        files, size, paint = page.evaluate(LOADED)
        page.wait_for_timeout(3000)
        rows = page.locator(".row").count()
        page.mouse.move(700, 500)
        still = watched(page, devtools, seconds / 2, scrolls=False)
        scrolled = watched(page, devtools, seconds, scrolls=True)
        with Happening(server) as happening:
            began = time.monotonic()
            updated = watched(page, devtools, seconds, scrolls=False)
            both = watched(page, devtools, seconds, scrolls=True)
            rate = happening.count / (time.monotonic() - began)
        browser_version = browser.version
        browser.close()
    return {
        "resources": number,
        "rows_in_the_page": rows,
        "first_load": {
            "javascript_files": files,
            "javascript_gzipped_bytes": size,
            "first_paint_ms": round(paint, 1) if paint else None,
            "first_row_ms": round(1000 * shown, 1),
        },
        "at_rest": still,
        "scrolled": scrolled,
        "updates_per_second": round(rate, 1),
        "updated": updated,
        "updated_and_scrolled": both,
        "chromium": browser_version,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each part")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="watchkeeper-console-") as name:
        folder = Path(name)
        config = folder / "watchkeeper.yaml"
        config.write_text(yaml.safe_dump({"only": ["m*"], "server": {"limits": {"changes_per_minute": 6000}}}))
        environment = {"PYTHONPATH": str(installed(folder)), "MANY": str(given.number), "MANY_MOVE": "1"}
        environment |= {"WATCHKEEPER_WATCH__QUICK": "1", "WATCHKEEPER_WATCH__INTERVAL": "5"}
        server = Server(folder / "data", config, environment, fresh=True)
        harness.PATIENCE = 300.0
        try:
            server.start().until_kind("server.started")
            server.poll(lambda at: at.get("/api/resources/status?limit=1")["counts"].get("HEALTHY") == given.number)
            row = seen(server, given.number, given.seconds)
        finally:
            server.stop()
    machine: dict[str, Any] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    machine |= {"load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1)}
    print(json.dumps(machine | row, indent=1))
    if given.json:
        given.json.write_text(json.dumps({"version": __version__, "machine": machine, "rows": [row]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
