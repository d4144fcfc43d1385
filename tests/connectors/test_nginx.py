"""nginx as a resource, against a real server."""

import asyncio
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from nginx_fixtures import SLOTS, Behind, Clients, Eye, Nginx, firing, free_ports, until

from watchkeeper.connectors.nginx import asking, connector, learning, status
from watchkeeper.connectors.nginx import tools as hands
from watchkeeper.connectors.nginx.access import command_of, is_server
from watchkeeper.connectors.nginx.discovery import discover
from watchkeeper.domain import ConfigurationError, Refused
from watchkeeper.hosts import Machine

HALF = b"GET / HTTP/1.1\r\nHost: front\r\nX-Slow: "
WHOLE = b"GET / HTTP/1.1\r\nHost: front\r\n\r\n"


def certified(folder: Path) -> str:
    """The rest of a `listen` that speaks TLS, with a certificate made for it."""
    names = [str(folder / name) for name in ("key.pem", "cert.pem")]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=front", "-days", "1"]
    subprocess.run([*made, "-keyout", names[0], "-out", names[1]], check=True, capture_output=True)
    return f"ssl; ssl_certificate {names[1]}; ssl_certificate_key {names[0]};"


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("ending a connection from outside needs root")


async def test_a_healthy_server_raises_nothing_and_tells_all_that_rules_name(see: Eye, clients: Clients) -> None:
    await until(see, lambda r: "configuration_valid" in r.metrics)
    assert [await clients.get("/") for _ in range(3)] == [200] * 3
    reading = await until(see, lambda r: r.metrics.get("logged_requests") == 3.0)
    assert reading.error is None
    assert firing(reading) == set()
    crowd = {"idle_connections", "slow_connections", "served_connections"}
    assert set(connector.sample.metrics) - set(reading.metrics) <= crowd
    assert set(reading.metrics) <= set(connector.sample.metrics) | {"leaving_connections"}
    assert set(reading.facts) <= set(connector.sample.facts)
    assert reading.metrics["connections_limit"] == SLOTS
    assert reading.metrics["status_known"] == 1.0
    assert reading.facts["running_hash"] == reading.facts["configuration_hash"] == reading.facts["good_hash"]
    assert reading.metrics["request_p95_seconds"] < 30
    assert (await connector.probe(see.session)).ok is True


async def test_what_is_loaded_is_told_apart_from_what_is_on_disk(see: Eye, front_server: Nginx) -> None:
    reading = await until(see, lambda r: r.metrics.get("configuration_pending") == 0.0)
    loaded = reading.facts["running_hash"]
    front_server.main.write_text(front_server.main.read_text().replace("600s", "500s"))
    reading = await until(see, lambda r: r.metrics["configuration_pending"] == 1.0)
    assert reading.metrics["configuration_valid"] == 1.0
    assert reading.facts["running_hash"] == loaded
    front_server.reload()
    reading = await until(see, lambda r: r.metrics["configuration_pending"] == 0.0)
    assert reading.facts["running_hash"] != loaded


@pytest.mark.parametrize("change", ["a typo", "another port"])
async def test_where_it_listens_is_what_is_loaded_and_not_what_stands_on_disk(
    see: Eye, front_server: Nginx, clients: Clients, change: str
) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    (elsewhere,) = free_ports(1)
    was, now = ("listen ", "lisen ") if change == "a typo" else (f":{front_server.port};", f":{elsewhere};")
    assert was in front_server.site.read_text()
    front_server.site.write_text(front_server.site.read_text().replace(was, now))
    reading = await until(
        see, lambda r: r.facts["configuration_hash"] != r.facts["good_hash"] or r.metrics["configuration_pending"] > 0
    )
    for _ in range(3):
        assert (reading.error, reading.metrics["responding"], reading.metrics["status_known"]) == (None, 1.0, 1.0)
        assert await clients.get("/") == 200
        reading = await see()
    assert reading.metrics["logged_requests"] > 0
    assert (await connector.probe(see.session)).ok is True


async def test_a_broken_configuration_is_noticed_before_anybody_reloads_and_is_put_right(
    see: Eye, front_server: Nginx, clients: Clients
) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    good, master = front_server.site.read_bytes(), front_server.pid
    broken = good.replace(b"proxy_pass", b"proxy_pas", 1)
    front_server.site.write_bytes(broken)
    (front_server.folder / "conf.d" / "new.conf").write_text("server { listen 1")
    reading = await until(see, lambda r: r.metrics["configuration_valid"] == 0.0)
    assert "new.conf" in reading.facts["configuration_error"]
    assert "site.conf" in reading.facts["changed_files"]
    assert "not valid" in (hands.nginx_reload.refusal(reading, {}) or "")
    assert "not start again" in (hands.nginx_restart.refusal(reading, {}) or "")
    with pytest.raises(Refused, match="nothing was loaded"):
        await hands.nginx_reload.run(see.session)
    before = await hands.nginx_restore_config.state(see.session)  # type: ignore[misc]
    told = await hands.nginx_restore_config.run(see.session)
    assert front_server.site.read_bytes() == good
    assert (await see()).metrics["configuration_valid"] == 1.0
    assert {path.rpartition("/")[2] for path in told["files"]} == {"site.conf", "new.conf"}
    assert (await clients.get("/"), front_server.pid) == (200, master)
    await hands.nginx_restore_config.undo_run(see.session, before)  # type: ignore[misc]
    assert front_server.site.read_bytes() == broken
    assert (front_server.folder / "conf.d" / "new.conf").read_text() == "server { listen 1"


async def test_what_comes_right_outside_of_its_files_is_noticed_though_none_of_them_changed(
    see: Eye, front_server: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "BROKEN_EVERY", 0.0)
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    logs = tmp_path / "logs"
    (front_server.folder / "conf.d" / "logged.conf").write_text(f"access_log {logs}/access.log;")
    await until(see, lambda r: r.metrics["configuration_valid"] == 0.0)
    logs.mkdir()
    await until(see, lambda r: r.metrics["configuration_valid"] == 1.0)


async def test_a_name_that_cannot_be_resolved_is_told_as_that_and_nothing_is_put_back(
    see: Eye, front_server: Nginx
) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    name = front_server.folder / "conf.d" / "named.conf"
    name.write_text("server { listen 127.0.0.1:1; location / { proxy_pass http://nobody.invalid:80; } }")
    reading = await until(see, lambda r: r.metrics["configuration_valid"] == 0.0)
    assert "nobody.invalid, which cannot be resolved" in reading.facts["configuration_cause"]
    rule = next(rule for rule in connector.rules if rule.id == "nginx-configuration-broken")
    assert "host not found in upstream" in reading.facts[rule.detail]
    same = replace(reading, facts={**reading.facts, "good_hash": reading.facts["configuration_hash"]})
    assert "outside of them" in (hands.nginx_restore_config.refusal(same, {}) or "")
    by_hand = hands.nginx_restore_config.by_hand
    assert callable(by_hand)
    said = by_hand({}, reading.facts)
    assert "named.conf is as it last tested good" in said
    tests = await asyncio.create_subprocess_shell(said.format(inside=""), stderr=asyncio.subprocess.PIPE)
    assert b"nobody.invalid" in (await tests.communicate())[1], (
        "it tests the file that is served, not the one nginx was built with"
    )
    mounted = replace(reading, facts={**reading.facts, "read_only": "named.conf is mounted read-only"})
    assert hands.nginx_restore_config.refusal(mounted, {}) == "named.conf is mounted read-only"


async def test_what_was_broken_before_anybody_looked_is_not_down(see: Eye, front_server: Nginx) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    front_server.site.write_bytes(front_server.site.read_bytes().replace(b"listen ", b"lisen "))
    async with connector.connect(see.session.resource, see.session.host) as fresh:
        eye = Eye(fresh)
        await until(eye, lambda r: r.metrics.get("configuration_valid") == 0.0)
        reading = await eye()
        assert (reading.error, reading.metrics["responding"]) == (None, 1.0)


async def test_the_last_good_configuration_is_known_after_a_restart_of_ours(see: Eye, front_server: Nginx) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    front_server.main.write_text("events {")
    async with connector.connect(see.session.resource, see.session.host) as fresh:
        reading = await until(Eye(fresh), lambda r: r.metrics.get("configuration_valid") == 0.0)
        assert reading.metrics["good_configuration_known"] == 1.0
        await hands.nginx_restore_config.run(fresh)
    assert "worker_connections   64" in front_server.main.read_text()


async def test_more_connections_are_allowed_by_one_line_and_the_undo_brings_it_back(
    see: Eye, front_server: Nginx, clients: Clients, behind: Behind
) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    before, was = await hands.nginx_scale_connections.state(see.session), front_server.main.read_text()  # type: ignore[misc]
    long = asyncio.create_task(clients.get("/long"))
    await behind.waiting.acquire()
    stop, answers = asyncio.Event(), list[int]()

    async def visit() -> None:
        while not stop.is_set():
            answers.append(await clients.get("/"))

    visitors = [asyncio.create_task(visit()) for _ in range(3)]
    told = await hands.nginx_scale_connections.run(see.session, value=128)
    assert (told["before"], told["now"]) == (64, 128)
    assert front_server.main.read_text() == was.replace("worker_connections   64;", "worker_connections   128;")
    reading = await until(see, lambda r: r.metrics["connections_limit"] == 128.0)
    assert reading.metrics["workers_leaving"] == 1.0  # it waits for the long request
    assert "already" in (hands.nginx_scale_connections.refusal(reading, {"value": 128}) or "")
    await hands.nginx_scale_connections.undo_run(see.session, before)  # type: ignore[misc]
    assert front_server.main.read_text() == was
    stop.set()
    await asyncio.gather(*visitors)
    behind.finish.set()
    assert await long == 200
    assert set(answers) == {200}
    assert (await until(see, lambda r: r.metrics["workers_leaving"] == 0.0)).metrics["connections_limit"] == 64.0


async def test_an_edit_that_tests_bad_leaves_everything_as_it_was(see: Eye, front_server: Nginx) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    was = front_server.main.read_bytes()
    front_server.main.write_bytes(was.replace(b"events {", b"events { use nonsense;"))
    with pytest.raises(Refused, match="not valid"):
        await hands.nginx_scale_connections.run(see.session, value=128)
    assert b"64" in front_server.main.read_bytes()


async def test_connections_held_for_nothing_are_ended_and_what_is_served_is_not(
    see: Eye, clients: Clients, behind: Behind
) -> None:
    needs_root()
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    long = asyncio.create_task(clients.get("/long"))
    await behind.waiting.acquire()
    await asyncio.sleep(0.1)  # the kernel's clock has to tell them apart: of one moment all would be left alone
    slow = await clients.connect(45, HALF)
    crawling = await clients.connect(5, HALF)
    idle = await clients.connect(3, WHOLE)

    async def crawl() -> None:
        while True:
            for _, writer in crawling:
                if not writer.is_closing():
                    writer.write(b"x")
            await asyncio.sleep(0.2)  # the rate at which they crawl

    crawls = asyncio.create_task(crawl())
    reading = await until(see, lambda r: r.metrics.get("slow_connections", 0) >= 50)
    assert "nginx-connections-near-limit" in firing(reading)
    assert reading.facts["slow_client_address"] == "127.0.0.1"
    told = await hands.nginx_clear_connections.run(see.session, quiet_seconds=2.0)
    crawls.cancel()
    assert told["slow"] >= 50
    reading = await until(see, lambda r: r.metrics["connections_ratio"] < 0.2)
    for reader, _ in slow:
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
    assert len(idle) == 3
    assert not long.done()
    behind.finish.set()
    assert await long == 200
    assert "Only" in (hands.nginx_clear_connections.refusal(reading, {}) or "")


async def test_an_upstream_that_is_gone_is_not_nginx_fault(see: Eye, clients: Clients) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    for _ in range(6):
        assert await clients.get("/gone") == 502
    reading = await until(see, lambda r: r.metrics.get("upstream_refused") == 6.0 and r.metrics["logged_requests"] > 5)
    assert firing(reading) == {"nginx-upstream-gone"}
    assert (reading.facts["upstream_error"], reading.facts["upstream_address"]) == ("refused", "127.0.0.1:9")
    assert "would not help" in (hands.nginx_restart.refusal(reading, {}) or "")


@pytest.mark.parametrize("tls", [False, True])
async def test_one_that_waits_for_what_is_behind_it_is_told_apart_from_one_that_hangs(
    see: Eye, front_server: Nginx, tls: bool
) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    hanging = socket.create_server(("127.0.0.1", 0))  # takes connections, and answers nobody
    (port,) = free_ports(1)
    named = front_server.folder / "conf.d" / "waits.conf"
    named.write_text(
        f"server {{ listen 127.0.0.1:{port} {certified(front_server.folder) if tls else ';'} "
        f"location / {{ proxy_pass http://127.0.0.1:{hanging.getsockname()[1]}; }} }}"
    )
    try:
        front_server.reload()
        async with asyncio.timeout(10):
            while not await status.answers_itself("127.0.0.1", port):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # nothing tells when the new workers listen
        with pytest.raises(TimeoutError):
            await status.ask("127.0.0.1", port, "/", tls=tls)
        await asking.answered("127.0.0.1", port, "", tls=tls)
        with pytest.raises(TimeoutError):
            await asking.answered("127.0.0.1", hanging.getsockname()[1], "", tls=tls)
    finally:
        named.unlink()
        front_server.reload()
        hanging.close()


async def test_requests_are_shared_as_told_and_the_undo_shares_them_as_before(
    see: Eye, front_server: Nginx, clients: Clients, behind: Behind
) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    one, two = front_server.behind
    before, was = await hands.nginx_set_split.state(see.session), front_server.site.read_text()  # type: ignore[misc]
    weights = {f"127.0.0.1:{one}": 9, f"127.0.0.1:{two}": 0}
    told = await hands.nginx_set_split.run(see.session, upstream="shop", weights=weights)
    assert told["before"] == {f"127.0.0.1:{one}": 1, f"127.0.0.1:{two}": 3}
    assert f"server 127.0.0.1:{two} down max_fails=0;" in front_server.site.read_text()
    asked = dict(behind.asked)
    assert [await clients.get("/") for _ in range(8)] == [200] * 8
    assert (behind.asked[one] - asked[one], behind.asked[two] - asked[two]) == (8, 0)
    with pytest.raises(Refused, match="no server would be left"):
        await hands.nginx_set_split.run(see.session, upstream="shop", weights={f"127.0.0.1:{one}": 0})
    with pytest.raises(Refused, match="no upstream `shap`"):
        await hands.nginx_set_split.run(see.session, upstream="shap", weights=weights)
    await hands.nginx_set_split.undo_run(see.session, before)  # type: ignore[misc]
    assert front_server.site.read_text() == was


async def test_an_undo_does_not_overwrite_what_somebody_changed_since(see: Eye, front_server: Nginx) -> None:
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    before = await hands.nginx_scale_connections.state(see.session)  # type: ignore[misc]
    await hands.nginx_scale_connections.run(see.session, value=128)
    theirs = front_server.main.read_text().replace("600s", "77s")
    front_server.main.write_text(theirs)
    with pytest.raises(Refused, match="changed since by somebody else"):
        await hands.nginx_scale_connections.undo_run(see.session, before)  # type: ignore[misc]
    assert front_server.main.read_text() == theirs


async def test_info_tells_how_it_is_and_nothing_of_what_is_written_there(see: Eye, front_server: Nginx) -> None:
    front_server.site.write_text(front_server.site.read_text() + "# hunter2\n")
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    told = await hands.nginx_info.run(see.session)
    assert told["listens"] == [f"127.0.0.1:{front_server.port}"]
    assert told["worker_connections"] == SLOTS
    assert "hunter2" not in repr(told)
    tested = await hands.nginx_test.run(see.session)
    assert (tested["valid"], tested["on_disk"] == tested["loaded"]) == (True, False)


async def test_killed_with_all_its_workers_it_is_down_and_started_as_it_was(
    see: Eye, front_server: Nginx, clients: Clients
) -> None:
    needs_root()
    await until(see, lambda r: r.metrics.get("configuration_valid") == 1.0)
    family = see.session.family
    assert family is not None
    for pid in (family.master, *(worker.pid for worker in family.workers)):
        os.kill(pid, 9)
    reading = await until(see, lambda r: r.metrics.get("up") == 0.0)
    assert "nginx-upstream-gone" not in firing(reading)
    await hands.nginx_restart.run(see.session)
    assert await clients.get("/") == 200
    assert (await until(see, lambda r: r.metrics.get("workers") == 1.0)).error is None


async def test_servers_are_recognised_by_what_runs_and_not_by_their_names() -> None:
    assert is_server(["nginx: master process nginx -g daemon off;"])
    assert is_server(["/docker-entrypoint.sh nginx -g daemon off;"])
    assert is_server(["/usr/local/openresty/bin/openresty -c /x.conf"])
    assert not is_server(["python3 nginx.py", "tail -f /var/log/nginx/access.log", "nginx-prometheus-exporter"])
    command = command_of(["nginx: master process /opt/nginx -p /srv -c /a b.conf -g daemon off;"])
    assert command.arguments() == ["-p", "/srv", "-c", "/a b.conf", "-g", "daemon off;"]


async def test_one_that_is_named_by_its_url_is_found_with_the_hands_of_its_host(
    front_server: Nginx, machine: Machine, see: Eye
) -> None:
    entry = {"name": "front", "kind": "nginx", "url": f"http://127.0.0.1:{front_server.port}/", "act": True}
    (found,) = [one async for one in discover([see.session.host], {"resources": [entry]})]  # type: ignore[list-item]
    assert (found.id, found.may_act) == ("local/production/nginx/front", True)
    assert found.runs_on is not None
    with pytest.raises(ConfigurationError, match="no address of an nginx"):
        _ = [one async for one in discover([], {"resources": [{"kind": "nginx", "url": "ftp://x"}]})]
