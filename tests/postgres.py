"""A real PostgreSQL of our own, in a temporary directory; it refuses root, so it runs as the user `postgres`."""

import itertools
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

USER = "watchkeeper"
LOCKED = "locked"
"""A role that is asked for its password, once a test has made it."""
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For tests that pull no plug."""


def binaries() -> Path:
    """Where `initdb` is: Debian keeps it out of the path."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def _identity() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    known = pwd.getpwnam("postgres")
    return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}


@dataclass
class Postgres:
    """Started on a free port of loopback, where everybody is trusted; `database()` makes a new one."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=lambda: dict(QUICK))
    _names: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def create(self) -> "Postgres":
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", USER, "-A", "trust", "-N", "-E", "UTF8", "--locale=C"
        )
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        return self.start()

    def start(self) -> "Postgres":
        said = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **self.settings}
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in said.items())
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-w", "-t", "60", "-o", options, "start")
        return self

    def standby(self, folder: Path, port: int, slot: str) -> "Postgres":
        """One that streams from this one, by a slot of its own; started."""
        folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        where = f"host=127.0.0.1 port={self.port} user={USER} application_name={slot}"
        self._run(
            "pg_basebackup",
            "-D",
            str(folder / "data"),
            "-d",
            where,
            "-R",
            "-C",
            "-S",
            slot,
            "-X",
            "stream",
            "-c",
            "fast",
        )
        return Postgres(folder, port, self.settings).start()

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def url(self, database: str, user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._names)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def run(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(binaries() / program), *arguments]
        said = self.folder / f"{program}.log"  # a file: the server would keep a pipe open for ever
        with said.open("w") as output:
            done = subprocess.run(command, check=False, stdout=output, stderr=subprocess.STDOUT, cwd="/", **_identity())
        if done.returncode:
            raise RuntimeError(f"{program} failed: {said.read_text()[-2000:]}")
