"""A real PostgreSQL on a small disk of its own (a mounted image): what fills it is moved aside, and nothing else."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from postgres_fixtures import PostgresHost, until
from tests.conftest import free_port
from tests.postgres import Postgres

from watchkeeper.connectors.postgres import connector, disk
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.domain import Reading, Refused, Resource

DISK_MIB = 120


@pytest.fixture(scope="module")
def small() -> Iterator[Postgres]:
    """A server whose data is below `disk/` of its folder's parent, and a folder `spare/` on another disk."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-small-", ignore_cleanup_errors=True) as name:
        top = Path(name)
        top.chmod(0o755)
        for folder in ("disk", "spare"):
            (top / folder).mkdir()
        image = top / "image"
        subprocess.run(["truncate", "-s", f"{DISK_MIB}M", str(image)], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        mounted = subprocess.run(
            ["mount", "-o", "loop", str(image), str(top / "disk")], check=False, capture_output=True
        )
        if mounted.returncode:
            pytest.skip(f"a disk image cannot be mounted here: {mounted.stderr.decode().strip()}")
        try:
            server = Postgres(top / "disk" / "postgres", free_port()).create()
            yield server
            server.stop()
        finally:
            subprocess.run(["umount", str(top / "disk")], check=True)


@pytest.fixture
def top(small: Postgres) -> Path:
    return small.folder.parent.parent


class Eye:
    """Looks one after the other; at the disk each time."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session
        self.last: Reading | None = None

    async def __call__(self) -> Reading:
        self.session.soon("disk")
        self.last = await connector.read(self.session, self.last)
        return self.last


@pytest.fixture
async def look(small: Postgres, top: Path) -> AsyncIterator[Eye]:
    resource = Resource(
        "local/lab/postgres/small", "small", may_act=True, settings={"spare_folder": str(top / "spare")}
    )
    async with connector.connect(resource, PostgresHost(small, data=small.folder / "data")) as session:  # type: ignore[arg-type]
        yield Eye(session)


def forgotten(path: Path, size: int, *, age: float = 7200.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(os.urandom(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


def filled(top: Path) -> Path:
    """A forgotten dump that leaves 5 MiB."""
    free = shutil.disk_usage(top / "disk").free
    return forgotten(top / "disk" / "exports" / "old dump.sql", free - (5 << 20))


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def test_a_forgotten_file_goes_to_another_disk_and_comes_back(look: Eye, top: Path) -> None:
    assert firing(await look()) == set()
    file = filled(top)
    content = file.read_bytes()
    try:
        reading = await until(look, lambda r: "stray_file" in r.facts)
        assert firing(reading) == {"postgres-disk-full", "postgres-disk-nearly-full"}
        assert reading.facts["stray_file"] == str(file)
        tool, arguments = disk.postgres_move_stray_file, {"path": str(file)}
        assert tool.refusal(reading, arguments) is None
        before = await disk.moved_aside(look.session)
        told = await tool.run(look.session, **arguments)
        assert not file.exists()
        assert (top / "spare" / file.name).read_bytes() == content
        assert told["to"] == str(top / "spare" / file.name)
        assert await disk.moved_aside(look.session) == {"moved": [str(file)]}
        reading = await until(look, lambda r: not firing(r))
        assert "full only" in (tool.refusal(reading, arguments) or "")

        assert tool.undo_run
        await tool.undo_run(look.session, before)
        assert file.read_bytes() == content
        assert list((top / "spare").iterdir()) == []
        assert await disk.moved_aside(look.session) == before
    finally:
        file.unlink(missing_ok=True)


async def test_what_is_the_servers_in_use_young_or_small_stays(look: Eye, small: Postgres, top: Path) -> None:
    data, mounted = small.folder / "data", top / "disk"
    big = 5 << 20
    refused = {
        "belongs to the server": forgotten(data / "base" / "forgotten", big),
        "belongs to a cluster or a backup": forgotten(mounted / "nightly" / "base.tar", big),
        "a segment of the write-ahead log": forgotten(mounted / "archive" / ("0" * 23 + "A"), big),
        "written to within": forgotten(mounted / "exports" / "young", big, age=60),
        "too small": forgotten(mounted / "exports" / "small", 1 << 20),
        "holds it open": forgotten(mounted / "exports" / "open", big),
        "other names": forgotten(mounted / "exports" / "linked", big),
        "a link leads to it": mounted / "exports" / "link",
        "on another disk": forgotten(top / "elsewhere", big),
    }
    (mounted / "nightly" / "backup_manifest").touch()
    (mounted / "exports" / "other-name").hardlink_to(refused["other names"])
    refused["a link leads to it"].symlink_to(refused["written to within"])
    try:
        with refused["holds it open"].open("rb"):
            for why, path in refused.items():
                with pytest.raises(Refused, match=why):
                    await disk.postgres_move_stray_file.run(look.session, path=str(path))
        assert all(path.exists() for path in refused.values())
    finally:
        for path in [*refused.values(), mounted / "exports" / "other-name"]:
            path.unlink(missing_ok=True)


async def test_a_disk_that_is_shared_with_the_system_and_a_server_without_a_spare_folder_are_refused(
    look: Eye, top: Path
) -> None:
    look.session.spare = ""
    assert (await look()).metrics.get("spare_free_bytes") is None
    with pytest.raises(Refused, match="spare_folder"):
        await disk.postgres_move_stray_file.run(look.session, path="/etc/passwd")
    look.session.spare = str(top / "disk")
    with pytest.raises(Refused, match="same disk"):
        await disk.postgres_move_stray_file.run(look.session, path="/etc/passwd")
    # The root of the machine is nobody's own disk, whoever asks.
    words = ["sh", "-c", disk.SCRIPT, "stray", "find", "/usr", str(top / "spare"), "1", "1"]
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert b"not on a disk of its own" in said
