"""What the lab runs where it runs plain processes: which programs, with which arguments, and what they need."""

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

from watchkeeper_lab.command import run
from watchkeeper_lab.engine import Say, apt_install, root_on_debian
from watchkeeper_lab.errors import MissingError
from watchkeeper_lab.instance import Instance

PACKAGES = {"redis-server": "redis-server", "nginx": "nginx-light", "postgres": "postgresql", "initdb": "postgresql"}
"""Programs, and the Debian packages they are in."""
UNPRIVILEGED = ("postgres", "nobody")
"""Whose rights PostgreSQL gets where we are root, which it refuses to be."""


@dataclass(frozen=True, slots=True)
class Program:
    """One service as a process. It works in `folder`, which is its own; `user` is empty for whoever we are."""

    argv: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    user: str = ""
    ends_on: Signals = SIGTERM

    @property
    def name(self) -> str:
        """What the file is called that it runs."""
        return Path(os.path.realpath(self.argv[0])).name


def find(program: str) -> str | None:
    """Where a program is; PostgreSQL's are not on the path in Debian."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or (
        str(beside[0]) if beside else None
    )


async def ensure_programs(say: Say) -> None:
    """Install what is missing, as root on Debian; else raise `MissingError` that names it."""
    lacking = sorted({package for program, package in PACKAGES.items() if find(program) is None})
    if not lacking:
        return
    if not root_on_debian():
        raise MissingError(
            f"As plain processes the lab needs programs that are not installed: {', '.join(lacking)} (Debian's names).",
            "Install them, or a Docker engine (https://docs.docker.com/engine/install/), and try again.",
        )
    say(f"Installing {', '.join(lacking)} (apt-get install)…")
    await apt_install(*lacking)


async def prepare(instance: Instance) -> Instance:
    """Make the folders, files and the database cluster of a new lab; returns it with the folder of the cluster."""
    folder = instance.folder
    for service in instance.services - {"postgres"}:
        (folder / service).mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_nginx(instance)
    with as_file(files("watchkeeper_lab")) as package:
        shop = folder / "app" / "shop"
        shutil.rmtree(shop, ignore_errors=True)
        shutil.copytree(package / "shop", shop, ignore=shutil.ignore_patterns("__pycache__"))
    if instance.cluster and os.path.exists(instance.cluster):  # noqa: ASYNC240
        return instance
    return await _make_cluster(instance)


async def _make_cluster(instance: Instance) -> Instance:
    """`initdb`; where we are root, in a temporary folder of an unprivileged user, who cannot look into ours."""
    owner = _owner()
    place = Path(tempfile.mkdtemp(prefix=f"watchkeeper-lab-{instance.name}-")) if owner else instance.folder
    data, secret = place / "postgres", place / "password"
    data.mkdir(mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text(instance.postgres_password + "\n")
    if owner:
        for path in (place, data, secret):
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
    made = instance.with_cluster(str(data))
    made.save()
    command = [find("initdb") or "initdb", "--pgdata", data, "--username=shop", f"--pwfile={secret}", "--no-sync"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    await run(command, timeout=120.0, user=owner, cwd=data)
    secret.unlink()
    return made


def _owner() -> str:
    """Whom PostgreSQL's files belong to; empty for whoever we are."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def programs(instance: Instance) -> dict[str, Program]:
    """How each service of this lab is started. Holds the database's password: never shown, never stored."""
    folder, ports = instance.folder, instance.ports
    usual = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    shop = {
        **usual,
        "PYTHONPATH": str(folder / "app"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "REDIS_URL": f"redis://127.0.0.1:{ports['REDIS_PORT']}/0",
        "DATABASE_URL": instance.database_url,
        "SHOP_LOAD_ENDPOINTS": "1",
    }
    redis = [find("redis-server") or "redis-server", "--bind", "127.0.0.1", "--port", str(ports["REDIS_PORT"])]
    redis += ["--protected-mode", "no", "--dir", str(folder / "redis"), "--save", "", "--appendonly", "yes"]
    redis += ["--appendfsync", "everysec", "--maxmemory", "128mb", "--maxmemory-policy", "noeviction"]
    redis += ["--maxclients", "200"]
    postgres = [find("postgres") or "postgres", "-D", instance.cluster, "-p", str(ports["POSTGRES_PORT"])]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB"):
        postgres += ["-c", setting]
    nginx = [find("nginx") or "nginx", "-p", str(folder / "nginx"), "-c", "nginx.conf", "-e", "error.log"]
    made = {
        "redis": Program(tuple(redis), folder / "redis", folder / "redis.log", usual),
        "postgres": Program(
            tuple(postgres), Path(instance.cluster), folder / "postgres.log", usual, _owner(), ends_on=SIGINT
        ),
        "nginx": Program(tuple(nginx), folder / "nginx", folder / "nginx.log", usual),
    }
    for name, port in (("shop-1", ports["SHOP_1_PORT"]), ("shop-2", ports["SHOP_2_PORT"])):
        command = (sys.executable, "-m", "uvicorn", "shop.main:app", "--host", "127.0.0.1", "--port", str(port))
        environment = {**shop, "SHOP_REPLICA": name}
        made[name] = Program((*command, "--no-access-log"), folder / name, folder / f"{name}.log", environment)
    return made


def _write_nginx(instance: Instance) -> None:
    recipe = (files("watchkeeper_lab") / "assets" / "nginx" / "process.conf").read_text()
    values = {name.lower(): str(port) for name, port in instance.ports.items()}
    values["user"] = "user root;" if os.geteuid() == 0 else ""
    for name, value in values.items():
        recipe = recipe.replace(f"@{name}@", value)
    (instance.folder / "nginx" / "nginx.conf").write_text(recipe)
