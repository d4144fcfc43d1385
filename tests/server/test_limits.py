"""What one client may take: how often, how slowly, how many at once; and an answer that is known already."""

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.conftest import free_port
from tests.server.conftest import PATIENCE, served
from tests.server.test_door import problem
from watchkeeper.cli.client import Client
from watchkeeper.cli.trust import pinned
from watchkeeper.domain.errors import WatchkeeperError
from watchkeeper.server import Runtime
from watchkeeper.server import limits as counted
from watchkeeper.server.limits import REMEMBERED, Bucket
from watchkeeper.settings.server import LimitsSettings, ServerSettings, TlsSettings
from watchkeeper_monitor import Monitor

CONF = Path(__file__).parents[2] / "deploy" / "nginx" / "watchkeeper.conf"


def elsewhere(number: int) -> dict[str, str]:
    """What a proxy on this machine says of somebody who comes from another."""
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def with_server(runtime: Runtime, **more: Any) -> Runtime:
    """The same system behind another server."""
    server = ServerSettings(**more)
    return replace(runtime, settings=runtime.settings.model_copy(update={"server": server}))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(runtime: Runtime) -> AsyncIterator[str]:
    limits = LimitsSettings(looks_per_minute=9, changes_per_minute=6, head_seconds=0.5, body_seconds=0.5)
    async with served(with_server(runtime, limits=limits)) as at:
        yield at


@pytest.fixture
async def client(strict: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Time stands still for what is counted."""
    monkeypatch.setattr(counted, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    async with httpx.AsyncClient(base_url=strict, timeout=PATIENCE, verify=False) as made:
        yield made


# How often -----------------------------------------------------------------------------------------------------------


async def test_an_address_that_asks_too_often_is_told_when_to_come_again(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/healthz", headers=elsewhere(1)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    said = problem(answers[-1], 429)
    assert "9 looks a minute" in said["detail"]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 7
    assert (await client.get("/healthz", headers=elsewhere(2))).status_code == 200


async def test_looks_and_changes_of_a_token_are_counted_apart(
    client: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    made = (await operator.post("/api/tokens", json={"role": "operator", "name": "limited"})).json()
    token = {"Authorization": f"Bearer {made['token']}"}
    looks = [(await client.get("/api/rules", headers=token)).status_code for _ in range(4)]
    changes = [(await client.post("/api/resume", headers=token)).status_code for _ in range(3)]
    assert (looks, changes) == ([200, 200, 200, 429], [200, 200, 429])
    assert (await client.get("/api/rules", headers=token | elsewhere(3))).status_code == 429, "whatever its address"


async def test_wrong_tokens_are_counted_too(client: httpx.AsyncClient) -> None:
    wrong = {"Authorization": "Bearer wrong"} | elsewhere(4)
    assert [(await client.get("/api/rules", headers=wrong)).status_code for _ in range(4)] == [401, 401, 401, 429]


async def test_this_machine_is_not_starved(client: httpx.AsyncClient, runtime: Runtime) -> None:
    own = {"Authorization": f"Bearer {runtime.token}"}
    for headers in ({}, own):
        assert {(await client.get("/api/rules", headers=headers)).status_code for _ in range(8)} == {200}


def test_a_bucket_fills_with_time_and_forgets_who_is_long_gone() -> None:
    bucket = Bucket(60)
    assert [bucket.take("a", 0.0) for _ in range(21)] == [0.0] * 20 + [1.0]
    assert bucket.take("a", 1.0) == 0.0
    assert bucket.take("a", 1.0) == 1.0
    assert [bucket.take("a", 1000.0) for _ in range(21)] == [0.0] * 20 + [1.0]
    for n in range(REMEMBERED + 5):
        bucket.take(str(n), 1000.0)
    assert len(bucket._left) == REMEMBERED


# How slowly ----------------------------------------------------------------------------------------------------------


async def trickled(address: str, first: bytes, then: bytes) -> bytes:
    """What comes back to somebody who sends byte after byte until it is told that nobody listens."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = asyncio.create_task(reader.read())
    writer.write(first)
    async with asyncio.timeout(PATIENCE):
        while not answer.done():
            writer.write(then)
            await asyncio.wait({answer}, timeout=0.05)
    writer.close()
    return answer.result()


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"GET / HTTP/1.1\r\nX-A: "])
async def test_who_trickles_the_head_of_a_request_is_let_go(first: bytes, strict: str) -> None:
    answer = await trickled(strict, first, b"" if not first else b"X-B: c\r\n")
    assert answer.startswith(b"HTTP/1.1 408 "), answer


async def test_who_trickles_the_head_of_a_second_request_is_let_go(strict: str) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\n"
    answer = await trickled(strict, first, b"X-B: c\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("how", [b"Content-Length: 5000", b"Transfer-Encoding: chunked"])
async def test_who_trickles_a_body_is_told_and_let_go(how: bytes, strict: str) -> None:
    first = b"POST /api/pause HTTP/1.1\r\nHost: localhost\r\n" + how + b"\r\n\r\n"
    answer = await trickled(strict, first, b" " if b"Length" in how else b"1\r\n \r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert b"did not come within" in answer


async def test_who_sends_too_much_reads_why_it_is_not_taken(strict: str) -> None:
    host, port = strict.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    size = b"Content-Length: 9000000"
    writer.write(b"POST /api/pause HTTP/1.1\r\nHost: localhost\r\n" + size + b"\r\n\r\n" + b" " * 9_000_000)
    async with asyncio.timeout(PATIENCE):
        await writer.drain()
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 "), answer


async def test_a_slow_one_holds_nobody_else_up(strict: str, client: httpx.AsyncClient) -> None:
    trickles = [asyncio.create_task(trickled(strict, b"GET / HTTP/1.1\r\n", b"X-B: c\r\n")) for _ in range(5)]
    assert (await client.get("/healthz")).status_code == 200
    await asyncio.gather(*trickles)


async def test_more_connections_than_there_may_be_are_closed(runtime: Runtime) -> None:
    async with served(with_server(runtime, limits=LimitsSettings(connections=20, head_seconds=600))) as address:
        host, port = address.removeprefix("http://").split(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        reading = [asyncio.create_task(reader.read()) for reader, _ in opened]
        async with asyncio.timeout(PATIENCE):
            for _ in range(20):
                await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                reading.remove(next(task for task in reading if task.done()))
        assert not [task for task in reading if task.done()]
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*reading, return_exceptions=True)


# What is known already -----------------------------------------------------------------------------------------------


async def test_an_answer_that_is_known_already_is_not_sent_again(viewer: httpx.AsyncClient) -> None:
    first = await viewer.get("/api/rules")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await viewer.get("/api/rules", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["x-content-type-options"] == "nosniff"
    other = await viewer.get("/api/rules", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.json()) == (200, first.json())


async def test_an_answer_that_has_changed_has_another_tag(
    viewer: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    before = (await viewer.get("/api/events")).headers["etag"]
    await operator.post("/api/resume")
    assert (await viewer.get("/api/events", headers={"If-None-Match": before})).status_code == 200


async def test_problems_and_streams_have_no_tag(viewer: httpx.AsyncClient) -> None:
    assert "etag" not in (await viewer.get("/api/incidents/inc-0")).headers
    assert "etag" not in (await viewer.get("/api/live?follow=false&after=0")).headers


# What a browser is told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/api/rules", "/metrics", "/nothing", "/api/live?after=x"])
async def test_every_answer_tells_a_browser_what_it_may_do_with_it(path: str, viewer: httpx.AsyncClient) -> None:
    headers = (await viewer.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


async def test_no_other_origin_may_read(viewer: httpx.AsyncClient, address: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Origin": address}
    for answer in (await viewer.options("/api/pause", headers=asked), await viewer.get("/", headers=asked)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    folder = tmp_path_factory.mktemp("tls")
    made = TlsSettings(certificate=folder / "tls.pem", key=folder / "tls.key")
    who = ["-subj", "/CN=watchkeeper.example.com", "-addext", "subjectAltName=DNS:watchkeeper.example.com,IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    out = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(["openssl", "req", "-x509", *key, *who, *out], check=True, capture_output=True)
    return made


async def test_it_speaks_tls_by_itself_and_the_command_line_knows_it_by_its_certificate(
    runtime: Runtime, certificate: TlsSettings
) -> None:
    async with served(with_server(runtime, tls=certificate, names=["watchkeeper.example.com"])) as address:
        with Client(address, runtime.token, trusted=pinned(certificate.certificate)) as known:
            assert (await asyncio.to_thread(known.get, "/healthz"))["status"] == "ok"
        with Client(address, runtime.token) as unknown, pytest.raises(WatchkeeperError):
            await asyncio.to_thread(unknown.get, "/healthz")
        url = f"{address.replace('https', 'wss')}/api/live"
        context = pinned(certificate.certificate)
        async with connect(url, ssl=context, open_timeout=PATIENCE, proxy=None) as live, asyncio.timeout(PATIENCE):
            assert "subscribed" in str(await live.recv())


async def test_a_monitor_believes_a_certificate_of_ones_own_where_it_is_told_of_it(
    runtime: Runtime, certificate: TlsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(with_server(runtime, tls=certificate)) as address:
        monitor = Monitor("own-tls", server=address, token=runtime.token, push_seconds=600, spool=tmp_path)
        monitor.track("a")
        said: list[str] = []
        for authorities in (None, tmp_path / "nowhere.pem", certificate.certificate):
            if authorities is not None:
                monkeypatch.setenv("WATCHKEEPER_CA", str(authorities))
            await asyncio.to_thread(monitor.push)
            assert monitor.pushed
            said.append(monitor.pushed.problem)
    assert "CERTIFICATE_VERIFY_FAILED" in said[0]
    assert "WATCHKEEPER_CA cannot be used" in said[1]
    assert (said[2], monitor.pushed and monitor.pushed.taken) == ("", 1)


# Behind nginx --------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxied(
    runtime: Runtime, certificate: TlsSettings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """The configuration that is shipped, in a real nginx, with other ports and files."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    async with served(with_server(runtime, names=["watchkeeper.example.com"])) as behind:
        conf = CONF.read_text().replace("127.0.0.1:8000", behind.removeprefix("http://"))
        conf = conf.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        conf = conf.replace("/etc/ssl/watchkeeper.pem", str(certificate.certificate))
        conf = conf.replace("/etc/ssl/watchkeeper.key", str(certificate.key))
        paths = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi"))
        paths += "".join(f"{name}_temp_path {folder}/{name};" for name in ("uwsgi", "scgi"))
        whole = f"pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1;"
        whole += f"events {{}}\nhttp {{ access_log off; {paths}\n{conf}\n}}"
        (folder / "nginx.conf").write_text(whole if os.getuid() else f"user root;\n{whole}")
        nginx = await asyncio.create_subprocess_exec("nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder))
        context = pinned(certificate.certificate)
        async with httpx.AsyncClient(verify=context) as client, asyncio.timeout(PATIENCE):
            while True:
                try:
                    await client.get(f"https://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    assert nginx.returncode is None, (folder / "error.log").read_text()
                    await asyncio.sleep(0.05)
        yield f"https://127.0.0.1:{port}", context
        nginx.terminate()
        await nginx.wait()


NAME = {"Host": "watchkeeper.example.com"}


async def test_through_the_proxy_whoever_comes_from_elsewhere_needs_a_token(
    proxied: tuple[str, ssl.SSLContext], runtime: Runtime
) -> None:
    address, context = proxied
    token = {"Authorization": f"Bearer {runtime.token}"}
    async with httpx.AsyncClient(base_url=address, verify=context, headers=NAME, timeout=PATIENCE) as client:
        assert (await client.get("/api/rules", headers=elsewhere(5))).status_code == 401
        assert (await client.get("/api/rules", headers=elsewhere(5) | token)).status_code == 200
        assert (await client.get("/api/rules", headers={"Host": "evil.example"} | token)).status_code == 403
        page = {"Origin": "https://watchkeeper.example.com"} | token
        assert (await client.post("/api/resume", headers=page)).status_code == 200


async def test_through_the_proxy_the_live_feed_comes_at_once(
    proxied: tuple[str, ssl.SSLContext], runtime: Runtime
) -> None:
    address, context = proxied
    token = {"Authorization": f"Bearer {runtime.token}"}
    url = f"wss://watchkeeper.example.com:{address.rpartition(':')[2]}/api/live"
    host, port = address.removeprefix("https://").split(":")
    async with (
        asyncio.timeout(PATIENCE),
        connect(url, host=host, port=int(port), ssl=context, additional_headers=token, proxy=None) as live,
        httpx.AsyncClient(base_url=address, verify=context, headers=NAME | token, timeout=PATIENCE) as client,
        client.stream("GET", "/api/live?kinds=resumed") as answer,
    ):
        assert "subscribed" in str(await live.recv())
        lines = answer.aiter_lines()
        assert await anext(lines) == ": watchkeeper"
        await client.post("/api/resume")
        while "resumed" not in str(await live.recv()):
            pass
        while "resumed" not in await anext(lines):
            pass
