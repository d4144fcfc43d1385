"""One lab's own facts, kept in a file so that any later command finds it: ports, password, traffic process."""

import hashlib
import json
import os
import random
import re
import secrets
import shutil
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.services import Ground
from watchkeeper_lab.stack import SHOP, STACKS, Stack

DEFAULT_NAME = "shop"
PORT_RANGE = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections, so that a free one stays free."""


def state_home() -> Path:
    """Where labs keep their files: `$XDG_STATE_HOME/watchkeeper-lab`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "watchkeeper-lab"


CONFIGURATION = """\
mode: auto
only: {only}
hosts:
  local: {{environment: lab, act: true}}
resources:
  - name: redis-{port}
    kind: redis
    url: redis://127.0.0.1:{port}
    environment: lab
    act: true
    settings: {{cache_keys: "catalogue:*"}}
  - name: postgres-{postgres}
    kind: postgres
    url: postgresql://127.0.0.1:{postgres}/shop
    username: shop
    password: "file:{secret}"
    environment: lab
    act: true
"""
"""For a lab of plain processes, which bear no labels."""
CREDENTIALS = """\
resources:
  - name: "*{redis}*"
    kind: redis
    username: watchkeeper
    password: "file:{secret}"
  - name: "*{postgres}*"
    kind: postgres
    username: watchkeeper
    password: "file:{secret}"
  - name: "*{pooler}*"
    kind: pgbouncer
    username: watchkeeper
    password: "file:{secret}"
"""
"""For a stack whose services let in nobody without a name: as whom to get in, and nothing else."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis on loopback, and as whom to get in; without a user it asks for none."""

    port: int
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """What tells one lab from another."""

    name: str
    ports: dict[str, int]
    postgres_password: str
    image_source: str = ""
    ground: Ground = "container"
    cluster: str = ""
    """Where PostgreSQL's files are, in a lab of plain processes."""
    stack_name: str = SHOP.name

    @property
    def stack(self) -> Stack:
        """Which system it is."""
        return STACKS[self.stack_name]

    @property
    def services(self) -> frozenset[str]:
        """What has to run in it."""
        return self.stack.services

    @property
    def front_url(self) -> str:
        """Where visitors come in."""
        return f"http://127.0.0.1:{self.ports[self.stack.front]}"

    @property
    def redis(self) -> RedisAddress:
        """How to reach its Redis from here."""
        user = self.stack.redis_user
        return RedisAddress(self.ports["REDIS_PORT"], user, self.secret(user) if user else "")

    def secret(self, user: str) -> str:
        """The password of a user of one of its services; the same each time it is asked for."""
        return hashlib.blake2b(f"{self.postgres_password}/{user}".encode(), digest_size=12).hexdigest()

    @property
    def project(self) -> str:
        """The compose project."""
        return f"lab-{self.name}"

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return state_home() / self.name

    @property
    def ledger_path(self) -> Path:
        """Its ledger of acknowledged writes."""
        return self.folder / "ledger.sqlite"

    @property
    def database_url(self) -> str:
        """How to reach its PostgreSQL from here."""
        return self.database_url_of(self.stack.database)

    @property
    def app_database_url(self) -> str:
        """The same, as its application does."""
        return self.database_url_of(self.stack.database, self.stack.app_user)

    def database_url_of(self, database: str, user: str = "") -> str:
        """How to reach one of its databases from here, as a superuser where no user is named."""
        user = user or self.stack.superuser
        password = self.postgres_password if user == self.stack.superuser else self.secret(user)
        return f"postgresql://{user}:{password}@127.0.0.1:{self.ports['POSTGRES_PORT']}/{database}"

    @property
    def by_port(self) -> dict[int, str]:
        """Services by their port on this machine, where they are processes of it; empty for containers."""
        if self.ground == "container":
            return {}
        return {port: name.removesuffix("_PORT").lower().replace("_", "-") for name, port in self.ports.items()}

    @property
    def watched(self) -> tuple[str, ...]:
        """What a Watchkeeper is told to watch (`only:`): this lab, and no other."""
        return tuple(f"*-{port}" for port in self.by_port) or (self.project,)

    def configuration(self) -> str:
        """What a `watchkeeper.yaml` has to say so that this lab is watched: containers bear labels that do."""
        if self.stack.credentials:
            names = {"redis": self.stack.redis, "postgres": self.stack.postgres, "pooler": "pooler"}
            return CREDENTIALS.format(**names, secret=self.folder / "watchkeeper-password")
        if self.ground == "container":
            return ""
        redis, postgres = self.ports["REDIS_PORT"], self.ports["POSTGRES_PORT"]
        secret = self.folder / "postgres-password"
        return CONFIGURATION.format(only=list(self.watched), port=redis, postgres=postgres, secret=secret)

    def with_cluster(self, data: str) -> "Instance":
        """The same, with PostgreSQL's files there."""
        return replace(self, cluster=data)

    def save(self) -> None:
        """Write it down, readable by this user alone."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = {"instance.json": json.dumps(asdict(self), indent=2), "postgres-password": self.postgres_password}
        if self.stack.credentials:
            kept["watchkeeper-password"] = self.secret(self.stack.credentials)
        for name, content in kept.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(content)

    def forget(self) -> None:
        """Remove all its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def check_name(name: str) -> str:
    """Return `name` if it may name a lab, else raise `BadInputError`."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise BadInputError(
            f"`{name}` cannot name a lab.",
            "Use up to 31 lower-case letters, digits and dashes, as in `--name mine`.",
        )
    return name


def load(name: str) -> Instance | None:
    """The lab of that name, or None where there is none."""
    path = state_home() / check_name(name) / "instance.json"
    return Instance(**json.loads(path.read_text())) if path.exists() else None


def load_all() -> list[Instance]:
    """All labs of this user, by name."""
    found = [load(path.parent.name) for path in sorted(state_home().glob("*/instance.json"))]
    return [one for one in found if one is not None]


def create(name: str, ground: Ground = "container", stack: Stack = SHOP) -> Instance:
    """A new lab with ports of its own, free now and held by no other lab of this user."""
    taken = {port for other in load_all() for port in other.ports.values()}
    ports: dict[str, int] = {}
    while len(ports) < len(stack.ports):
        port = random.choice(PORT_RANGE)
        if port not in taken and _is_free(port):
            ports[stack.ports[len(ports)]] = port
            taken.add(port)
    return Instance(check_name(name), ports, secrets.token_urlsafe(18), ground=ground, stack_name=stack.name)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
