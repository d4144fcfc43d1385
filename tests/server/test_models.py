"""Monitors in real processes push to a real server: every total is exact, whatever dies, forks or is away."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from hashlib import blake2b
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest
import uvicorn

from tests.conftest import free_port
from tests.server.conftest import Server
from watchkeeper.server import Runtime, create_app
from watchkeeper_monitor import Monitor, Profile, Summary, pushing

PATIENCE = 120


PATIENT = "from watchkeeper_monitor import pushing; pushing.SECONDS = pushing.EXIT_SECONDS = 60.0\n"
"""A machine that is busy with other tests may answer late: then what is awaited comes with the next turn, not now."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "SECONDS", 60.0)
    monkeypatch.setattr(pushing, "EXIT_SECONDS", 60.0)


class Script:
    """A model server in a process of its own."""

    def __init__(self, code: str, **environment: str) -> None:
        self.code = PATIENT + dedent(code)
        self.environment = environment
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> "Script":
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error::ResourceWarning",
            "-c",
            self.code,
            stdin=pipe,
            stdout=pipe,
            env=self.environment,
        )
        return self

    async def line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self.process.stdout.readline()).decode().strip()

    async def over(self) -> list[str]:
        assert self.process is not None
        async with asyncio.timeout(PATIENCE):
            out, _ = await self.process.communicate()
        assert self.process.returncode == 0
        return out.decode().splitlines()

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.communicate()


@pytest.fixture
def script(address: str, runtime: Runtime, tmp_path: Path) -> Callable[[str], Script]:
    """Its monitors find this server in the environment, as a container's would."""
    said = {
        "WATCHKEEPER_URL": address,
        "WATCHKEEPER_TOKEN": runtime.token,
        "WATCHKEEPER_SPOOL": str(tmp_path / "spool"),
    }
    return lambda code: Script(code, **said)


async def summary_of(viewer: httpx.AsyncClient, name: str, **query: str) -> dict[str, Any]:
    answer = await viewer.get(f"/api/models/{name}/summary", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def content(name: str, predictions: int = 1, **more: Any) -> dict[str, Any]:
    profile = Profile(name, more.pop("version", "1"))
    profile.predictions = predictions
    profile.seen(more.pop("at", time.time()))
    for _ in range(predictions):
        profile.classes.add("card")
    return {"began": time.time(), "profile": profile.to_dict()} | more


def process_of(name: str) -> str:
    """One for each test."""
    return blake2b(name.encode(), digest_size=16).hexdigest()


async def push(client: httpx.AsyncClient, name: str, body: Any, sequence: int = 1, **headers: str) -> httpx.Response:
    said = {"Watchkeeper-Process": process_of(name), "Watchkeeper-Sequence": str(sequence)} | headers
    return await client.post(f"/api/models/{name}/profiles", json=body, headers=said)


async def test_two_processes_push_and_one_is_killed(script: Callable[[str], Script], viewer: httpx.AsyncClient) -> None:
    """What was pushed is there to the last one; only what the killed one had not sent is not."""
    begin = """
        from watchkeeper_monitor import Monitor
        m = Monitor("killed", version="1.4.0", push_seconds=600)
        for n in range({}):
            m.label(m.track("card", 0.9, 0.03, 12), "card" if n % 2 else "cash")
        """
    gentle = await script(begin.format(1000)).start()
    killed = await script(
        begin.format(500) + 'm.push(); print("pushed", flush=True); m.track("cash"); m.flush(); input()'
    ).start()
    assert await killed.line() == "pushed"
    await killed.kill()
    await gentle.over()

    summed = await summary_of(viewer, "killed")

    assert summed["predictions"] == 1500
    assert summed["classes"] == {"card": 1500}
    assert summed["performance"]["accuracy_total"]["value"] == 0.5
    assert summed["performance"]["coverage"] == 1
    assert (await viewer.get("/api/models/killed")).json()["versions"][0]["predictions"] == 1500


async def test_a_fork_in_the_middle_counts_nothing_twice(
    script: Callable[[str], Script], viewer: httpx.AsyncClient
) -> None:
    """Also of a child that ends without a word to `atexit`, as those of multiprocessing do; and a spawned one."""
    forked = await script(
        """
        import multiprocessing
        from watchkeeper_monitor import Monitor
        m = Monitor("forked", push_seconds=600)
        def work(monitor, number):
            for _ in range(number): monitor.track("child")
        if __name__ == "__main__":
            for _ in range(100): m.track("parent")
            m.push()
            m.track("parent")                          # waits while it forks
            for how in ("fork", "fork"):
                child = multiprocessing.get_context(how).Process(target=work, args=(m, 7))
                child.start()
                child.join()
            import pickle
            again = pickle.loads(pickle.dumps(m))      # what a spawned child is given
            work(again, 5)
            again.close()
        """
    ).start()
    await forked.over()

    summed = await summary_of(viewer, "forked")
    processes = (await viewer.get("/api/models/forked")).json()["processes"]

    assert summed["classes"] == {"parent": 101, "child": 19}
    assert sorted(each["predictions"] for each in processes) == [5, 7, 7, 101]
    assert summed["over"]["missed"] == 0


def spooled(folder: Path) -> list[Path]:
    return list(folder.glob("*/*/*-profiles-*"))


@asynccontextmanager
async def listening(runtime: Runtime, port: int) -> AsyncIterator[None]:
    """The same system at another port, for as long."""
    config = uvicorn.Config(create_app(runtime), port=port, log_config=None, lifespan="off", ws="none")
    server = Server(config)
    serves = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.02)  # a polling rate
    yield
    server.should_exit = True
    await serves


async def test_a_server_that_was_away_gets_all_of_it_once(
    runtime: Runtime, viewer: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Spooled by one process, sent by the next; the totals are exact."""
    port = free_port()

    def counting(number: int) -> Monitor:
        made = Monitor(
            "away", "1", server=f"http://127.0.0.1:{port}", token=runtime.token, push_seconds=600, spool=tmp_path
        )
        for _ in range(number):
            made.track("card", 0.5)
        return made

    first = counting(10)
    await asyncio.to_thread(first.push)
    first.track("card", 0.5)
    await asyncio.to_thread(first.push)
    told = first.pushed
    assert told is not None
    assert (told.taken, told.waiting, told.lost) == (0, 2, 0)
    assert "ConnectionRefused" in told.problem
    await asyncio.to_thread(first.close)
    assert len(spooled(tmp_path)) == 2
    async with listening(runtime, port):
        second = counting(4)
        await asyncio.to_thread(second.push)
        told = second.pushed
        assert told is not None
        assert (told.taken, told.waiting, told.problem) == (3, 0, "")
        await asyncio.to_thread(second.close)

    summed = await summary_of(viewer, "away")

    assert summed["predictions"] == 15
    assert summed["over"]["missed"] == 0
    assert spooled(tmp_path) == []


async def test_a_full_spool_lets_the_oldest_go_and_tells(
    runtime: Runtime, viewer: httpx.AsyncClient, tmp_path: Path
) -> None:
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    monitor = Monitor(
        "full", "1", server=server, token=runtime.token, push_seconds=600, spool=tmp_path, spool_bytes=10_000
    )
    for n in range(8):
        monitor.track("first" if n < 2 else "later")
        await asyncio.to_thread(monitor.push)
    told = monitor.pushed
    assert told is not None
    assert told.lost == told.lost_predictions > 0
    assert told.waiting_bytes <= 10_000
    async with listening(runtime, port):
        monitor.track("later")
        await asyncio.to_thread(monitor.push)
    monitor.close()

    summed = await summary_of(viewer, "full")

    assert summed["predictions"] == 9 - told.lost
    assert "first" not in summed["classes"]
    assert summed["over"]["missed"] == told.lost
    assert summed["over"]["lost"] == told.lost


async def test_a_push_that_comes_again_counts_once(operator: httpx.AsyncClient) -> None:
    body = content("again", 3)

    answers = [(await push(operator, "again", body, sequence)).json()["taken"] for sequence in (1, 1, 2, 1, 2)]

    assert answers == [True, False, True, False, False]
    assert (await summary_of(operator, "again"))["predictions"] == 6


async def test_many_at_once_are_all_counted(operator: httpx.AsyncClient) -> None:
    """They share transactions; each is answered for itself."""
    body = content("many", 2)

    async def one(number: int) -> bool:
        return (await push(operator, "many", body, 1, **{"Watchkeeper-Process": f"{number:032x}"})).json()["taken"]

    assert all(await asyncio.gather(*(one(number % 40) for number in range(40))))
    assert (await summary_of(operator, "many"))["predictions"] == 80


async def test_versions_are_told_apart_and_together(operator: httpx.AsyncClient) -> None:
    await push(operator, "versions", content("versions", 3, version="1"), 1)
    await push(operator, "versions", content("versions", 4, version="2"), 1, **{"Watchkeeper-Process": "f" * 32})

    assert (await summary_of(operator, "versions", version="1"))["predictions"] == 3
    assert (await summary_of(operator, "versions", version="2"))["predictions"] == 4
    assert (await summary_of(operator, "versions"))["predictions"] == 7
    refused = await operator.get("/api/models/versions/summary", params={"version": "3"})
    assert refused.status_code == 404
    assert "known: 2, 1" in refused.json()["detail"] or "known: 1, 2" in refused.json()["detail"]


async def test_the_summary_has_the_shape_of_the_monitors_own(operator: httpx.AsyncClient) -> None:
    await push(operator, "shape", content("shape"))

    summed = await summary_of(operator, "shape")

    monitor = Monitor("shape", server="")
    monitor.track("card")
    assert list(summed.keys() - monitor.summary().to_dict().keys()) == ["over"]
    assert {each.name for each in fields(Summary)} == summed.keys() - {"over"}
    for part in ("performance", "system", "quality", "business"):
        assert summed[part].keys() == monitor.summary().to_dict()[part].keys()
    assert Summary.from_dict(summed).predictions == 1


async def test_clocks_that_disagree_are_told_and_set_right(operator: httpx.AsyncClient) -> None:
    """An hour ahead, or from an hour ago: what was counted now is counted as of now."""
    ahead = time.time() + 3600
    answer = await push(operator, "skewed", content("skewed", at=ahead), **{"Watchkeeper-Sent-At": f"{ahead}"})

    assert answer.json()["skew_seconds"] == pytest.approx(3600, abs=60)
    (process,) = (await operator.get("/api/models/skewed")).json()["processes"]
    assert process["skew_seconds"] == pytest.approx(3600, abs=60)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1800))
    assert (await summary_of(operator, "skewed", since=since))["predictions"] == 1


async def test_a_profile_from_a_newer_monitor_is_refused_and_its_client_counts_that(
    script: Callable[[str], Script],
) -> None:
    newer = await script(
        """
        from watchkeeper_monitor import Monitor, profile
        profile.FORMAT = 99
        m = Monitor("newer", push_seconds=600)
        m.track("card")
        m.push()
        print(m.pushed.refused, m.pushed.waiting, m.pushed.problem)
        """
    ).start()

    (said,) = await newer.over()

    assert said.startswith("1 0 422: ")
    assert "format 99" in said
    assert "upgrade the server" in said


async def test_a_model_server_may_send_and_see_nothing(
    operator: httpx.AsyncClient, viewer: httpx.AsyncClient, address: str
) -> None:
    made = (await operator.post("/api/tokens", json={"role": "sender", "name": "bot"})).json()["token"]
    async with httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {made}"}) as sender:
        assert (await push(sender, "sent", content("sent"))).status_code == 200
        for path in ("/api/models", "/api/models/sent/summary", "/api/resources", "/api/events"):
            assert (await sender.get(path)).status_code == 403
        assert (await sender.post("/api/pause")).status_code == 403
    assert (await push(viewer, "sent", content("sent"))).status_code == 401
    looks = (await operator.post("/api/tokens", json={"role": "viewer", "name": "ada"})).json()["token"]
    async with httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {looks}"}) as ada:
        assert (await push(ada, "sent", content("sent"))).status_code == 403
