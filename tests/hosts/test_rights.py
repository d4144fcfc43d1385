"""Through a real proxy with the printed configuration: enough to work, nothing more, and a refusal says whose it is."""

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_fixtures import Run, docker
from tests.conftest import free_port

from watchkeeper.connectors.docker.connector import connector
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.domain import Forbidden, Resource, Right
from watchkeeper.hosts import ContainerHost, Engine, rights, usage
from watchkeeper.hosts.proxy import _pattern, environment, nginx

TOOLS = {tool.name: tool for tool in connector.tools}
ACT = (*rights.LOOK, *(r for tool in connector.tools if tool.name != "docker_scale" for r in tool.rights))
HOSTS = Path(rights.__file__).parent


class Proxy:
    """A running nginx, and what it let through."""

    def __init__(self, port: int, log: Path) -> None:
        self.url = f"tcp://127.0.0.1:{port}"
        self._log = log

    def passed(self) -> list[str]:
        """`GET /v1.41/containers/json?all=1`, for each that got past it."""
        rows = (line.split(" ", 1) for line in self._log.read_text().splitlines())
        return [call for status, call in rows if status != "403"]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def proxy(folder: Path, allowed: tuple[Right, ...]) -> Iterator[Proxy]:
    port, log = free_port(), folder / "access.log"
    text = nginx(allowed, purpose="look", listen=f"127.0.0.1:{port}")
    text = text.replace("access_log off;", f"access_log {log} told;")
    text = text.replace("http {\n", 'http {\n  log_format told "$status $request_method $request_uri";\n')
    (folder / "nginx.conf").write_text(f"daemon off;\npid {folder}/pid;\n{text}")
    command = ["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with subprocess.Popen(command) as process:
        try:
            while not answers(port):
                assert process.poll() is None, (folder / "error.log").read_text()
            yield Proxy(port, log)
        finally:
            process.terminate()


@pytest.fixture
async def through(tmp_path: Path, image: str) -> AsyncIterator[Callable[..., Any]]:
    """An engine behind a proxy that has just these rights."""
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with ExitStack() as proxies:
        async with AsyncExitStack() as engines:

            async def make(allowed: tuple[Right, ...]) -> tuple[Engine, Proxy]:
                one = proxies.enter_context(proxy(tmp_path, allowed))
                return await engines.enter_async_context(Engine(one.url)), one

            yield make


async def session(engine: Engine, like: ContainerHost) -> ContainerSession:
    host = next(host for host in await engine.hosts() if host.incarnation == like.incarnation)
    return ContainerSession(Resource("docker/lab/container/x", "x", may_act=True), host)


async def unused(one: Proxy, declared: tuple[Right, ...]) -> set[str]:
    """What was let through by no call; a call is in the log a moment after its answer."""

    def left() -> set[str]:
        passed = one.passed()
        return {r.what for r in declared if not any(re.match(f"^{_pattern(r.what)}", call) for call in passed)}

    for _ in range(200):
        if not left():
            break
        await asyncio.sleep(0.02)
    return left()


@pytest.mark.lab
async def test_the_configuration_to_look_lets_one_look_and_refuses_to_act(
    through: Callable[..., Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_CGROUPS", Path("/nowhere"))  # as from another machine: the engine is asked
    engine, one = await through(rights.LOOK)
    assert engine.problem is None
    here = await session(engine, await run("sh", "-c", "echo said; exec sleep 60"))
    reading = await connector.read(here, None)
    assert reading.error is None
    assert reading.metrics["memory_used_bytes"] > 0
    assert (await connector.probe(here)).ok
    assert await here.host.processes()
    assert [text for _, text in await here.host.tail(5)] == ["said"]

    for name in ("docker_restart", "docker_start", "docker_unpause"):
        tool = getattr(here.host, name.removeprefix("docker_"))
        with pytest.raises(Forbidden, match=r"proxy does not allow POST /containers/\w+/\w+: it is not among"):
            await tool()
    await rights.is_allowed(engine, "GET /events")  # the stream itself is logged when it ends
    assert await unused(one, rights.LOOK) == set()


@pytest.mark.lab
async def test_the_configuration_to_act_lets_every_tool_work_and_nothing_else(
    through: Callable[..., Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_CGROUPS", Path("/nowhere"))
    engine, one = await through(ACT)
    host = await run("sleep", "60", options=["-m", "64m"])
    here = await session(engine, host)
    await here.host.processes()
    await docker("pause", host.name)
    await TOOLS["docker_unpause"].run(here)
    await here.host.restart(grace=0)
    await docker("kill", host.name)
    await TOOLS["docker_start"].run(here)
    before = await TOOLS["docker_update_limits"].state(here)  # type: ignore[misc]
    await TOOLS["docker_update_limits"].run(here, memory_bytes=128 << 20)
    await TOOLS["docker_update_limits"].undo_run(here, before)  # type: ignore[misc]
    for name in ("docker_logs", "docker_stats", "docker_inspect"):
        await TOOLS[name].run(here, **TOOLS[name].parse({}))
    await here.host.write_file("/bin/sleep", await here.host.read_file("/bin/sleep"))  # as docker_restore_config does

    await rights.is_allowed(engine, "GET /events")  # the stream itself is logged when it ends
    assert await unused(one, ACT) == set()
    with pytest.raises(Forbidden):
        await here.host.exec(["true"])
    with pytest.raises(Forbidden):
        await engine.call(f"containers/{host.incarnation}/kill", "POST")
    for path in ("images/json", "containers/json/../../images/json", "containers/x%2F..%2F..%2Fimages/json"):
        with pytest.raises(Forbidden):
            await engine.call(path)


@pytest.mark.lab
async def test_which_calls_are_let_through_is_found_out_without_changing_anything(
    through: Callable[..., Any], run: Run
) -> None:
    host = await run("sleep", "60")
    behind, _ = await through(rights.LOOK)
    assert all((await rights.allowed(behind, rights.LOOK)).values())
    acts = [right for right in ACT if right.what.startswith("POST")]
    assert set((await rights.allowed(behind, acts)).values()) == {False}
    async with Engine() as whole:
        before = await host.state()
        assert all((await rights.allowed(whole, ACT)).values())
        assert [await rights.is_allowed(whole, call) for call in rights.BEYOND] == [True] * len(rights.BEYOND)
        assert await host.state() == before


def test_every_call_of_the_engine_is_declared() -> None:
    """A handle that calls something new says so, or the printed configuration would not let it through."""
    declared = {right.what for right in rights.LOOK} | {
        *rights.START,
        *rights.UNPAUSE,
        *rights.RESTART,
        *rights.UPDATE,
        *rights.EXEC,
        *rights.FILES,
        *rights.FREEZE,
        *rights.SCALE,
        rights.LOGS,
    }
    used: set[str] = set()
    for source in HOSTS.glob("*.py"):
        text = source.read_text()
        for what, method in re.findall(r'_call\(\s*"(\w+)"(?:,\s*"([A-Z]+)")?', text):
            used.add(f"{method or 'GET'} /containers/{{id}}/{what}")
        for path, method in re.findall(r'(?:self|_engine)\.(?:call|open)\(\s*f?"([^"]+)"(?:,\s*"([A-Z]+)")?', text):
            used.add(f"{method or 'GET'} /{re.sub(r'{[^}]*}', '{id}', path)}")
    assert len(used) > 10
    assert used - declared == set()


def test_the_variables_of_the_known_image_say_where_they_are_too_coarse() -> None:
    assert environment(rights.LOOK) == ("CONTAINERS=1", "EVENTS=1", "VERSION=1", "PING=0", "POST=0")
    restart = environment((*rights.LOOK, *TOOLS["docker_start"].rights))
    assert "ALLOW_START=1" in restart
    assert "POST=0" in restart
    every = environment(ACT)
    assert "POST=1" in every
    assert any("as good as root" in line for line in every)
