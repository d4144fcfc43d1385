"""A container that a changed configuration file keeps from starting runs again with the one it ran well with."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from engine_fixtures import Run, docker, until_stopped

from watchkeeper.connectors.docker import connector, files
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.connectors.docker.restore import docker_restore_config
from watchkeeper.domain import Reading, Refused, Resource
from watchkeeper.hosts import ContainerHost, Kept

PATH = "/tmp/app.toml"
PROGRAM = (
    f"test -f {PATH} || echo good > {PATH}; read line < {PATH}; if test $line = good; then exec sleep 600; fi; exit 3"
)


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def look(host: ContainerHost, session: ContainerSession, last: Reading | None = None) -> Reading:
    session.files._due = 0.0  # as if the time had come  # pyright: ignore[reportPrivateUsage]
    host.changed()
    return await connector.read(session, last)


def test_configuration_files_are_told_by_command_variable_and_mount_and_never_secrets() -> None:
    shown = {
        "Path": "serve",
        "Args": ["--config=/etc/app/app.yaml", "--port", "80"],
        "Config": {"Env": ["APP_CONFIG=/etc/app/app.toml", "HOME=/root"], "Labels": {}},
        "Mounts": [{"Destination": "/run/secrets/key.json"}, {"Destination": "/etc/x.ini"}, {"Destination": "/data"}],
    }
    assert files.candidates(shown) == ("/etc/app/app.yaml", "/etc/app/app.toml", "/etc/x.ini")
    shown["Config"] = {"Labels": {"watchkeeper.config": "/srv/own"}}
    assert files.candidates(shown) == ("/srv/own",)
    shown["Config"] = {"Labels": {"watchkeeper.config": ""}}
    assert files.candidates(shown) == ()


def test_what_is_mounted_read_only_is_to_be_changed_where_it_comes_from_and_no_plan_tries_to() -> None:
    mount = {"Destination": "/etc/app.toml", "Source": "/srv/app.toml", "RW": False}
    why = files.held({"Mounts": [mount]}, "/etc/app.toml", "app")
    assert why == "/etc/app.toml is mounted read-only from /srv/app.toml: change it there."
    assert "put it back there, then restart app" in files.held(
        {"Mounts": [mount | {"RW": True}]}, "/etc/app.toml", "app"
    )
    assert files.held({"Mounts": [mount]}, "/etc/other.toml", "app") == ""
    facts = {**connector.sample.facts} | {"config_file": "/etc/app.toml", "config_held": why}
    metrics = {**connector.sample.metrics} | {"config_changed": 1.0, "config_crashed": 1.0}
    broken = replace(connector.sample, facts=facts, metrics=metrics)
    given = {"path": "/etc/app.toml", "digest": "0123456789ab"}
    assert docker_restore_config.refusal(broken, given) == why
    assert docker_restore_config.refusal(replace(broken, facts=facts | {"config_held": ""}), given) is None


@pytest.mark.lab
async def test_the_last_good_content_is_put_back_and_the_other_is_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GOOD_AFTER", timedelta(0))
    host = await run("sh", "-c", PROGRAM, options=["-l", f"watchkeeper.config={PATH}", "--stop-signal", "KILL"])
    await docker("restart", host.name)  # now it has started with the file it made
    session = ContainerSession(Resource("docker/lab/container/app", "app", may_act=True), host)
    well = await look(host, session)
    assert firing(well) == set()
    assert well.configuration is not None
    assert f"file {PATH}" in well.configuration
    assert "as they were" in (docker_restore_config.refusal(well, {}) or "")

    await docker("exec", host.name, "sh", "-c", f"echo nonsense > {PATH}")
    changed = await look(host, session, well)
    assert (changed.metrics["config_changed"], firing(changed)) == (1.0, set())
    assert "no reason" in (docker_restore_config.refusal(changed, {}) or "")
    await docker("restart", host.name)
    await until_stopped(host)
    broken = await look(host, session, changed)
    assert firing(broken) == {"container-config-broken"}

    given = {"path": broken.facts["config_file"], "digest": broken.facts["config_good"]}
    assert docker_restore_config.refusal(broken, given) is None
    with pytest.raises(Refused, match="not known"):
        await docker_restore_config.run(session, path="/etc/passwd", digest="0" * 12)
    assert docker_restore_config.state is not None
    assert docker_restore_config.undo_run is not None
    before = await docker_restore_config.state(session)
    await docker_restore_config.run(session, **given)
    assert await host.read_file(PATH) == b"good\n"
    await docker_restore_config.undo_run(session, before)
    assert await host.read_file(PATH) == b"nonsense\n"
    await docker_restore_config.run(session, **given)
    await host.restart()
    healed = await look(host, session, broken)
    assert (firing(healed), healed.metrics["running"], healed.metrics["crashes"]) == (set(), 1.0, 0.0)


def test_what_is_kept_is_found_again_by_its_hash_and_only_unharmed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    digest = Kept(folder).put(b"secret")
    assert Kept(folder).get(digest) == b"secret"
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    (folder / digest).write_bytes(b"other")
    assert Kept(folder).get(digest) is None
    Kept(folder).note("one", {"a": "b"})
    assert Kept(folder).noted("one") == {"a": "b"}
    assert Kept(folder).noted("two") == {}
