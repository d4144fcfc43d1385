"""A machine: what has run out, is about to, or is broken is told; what is merely busy is not."""
# ruff: noqa: ASYNC221 — programs that end at once

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from watchkeeper.connectors.machine import connector, figures
from watchkeeper.connectors.machine.clock import compared, own_clock
from watchkeeper.connectors.machine.history import History
from watchkeeper.connectors.machine.read import MachineSession
from watchkeeper.connectors.machine.vitals import Vitals, parse
from watchkeeper.connectors.naming import resource_on
from watchkeeper.domain import ConfigurationError, Reading, Refused
from watchkeeper.hosts import LocalShell, Machine, MachineHost

GIB = 1 << 30
ABOUT = ("machine-disk-low", "machine-disk-full", "machine-inodes", "machine-filesystem")
BUSY = """\
now 1700000000.5
cores 2
/proc/stat:cpu  {user} 0 0 10 0 0 0 {steal} 0 0
/proc/meminfo:MemTotal:        8388608 kB
/proc/meminfo:MemAvailable:    {available} kB
/proc/meminfo:SwapTotal:       0 kB
/proc/meminfo:SwapFree:        0 kB
/proc/vmstat:oom_kill {ooms}
/proc/vmstat:pgmajfault {faults}
/proc/vmstat:pswpin {swapped}
/proc/loadavg:90.00 80.00 70.00 90/700 12345
/proc/pressure/cpu:some avg10=99.00 avg60=98.00 avg300=97.00 total=1
/proc/pressure/memory:some avg10=0.00 avg60=0.00 avg300=0.00 total=1
/proc/pressure/memory:full avg10=0.00 avg60={stalled} avg300=0.00 total=1
/proc/sys/fs/file-nr:2718\t0\t9223372036854775807
/proc/sys/kernel/pid_max:4194304
there /sys/block/sda
there /sys/class/net/eth0/device
/proc/diskstats:   8       0 sda {reads} 0 0 {read_ms} 0 0 0 0 0 {busy_ms} 0 0 0 0 0 0 0
/proc/diskstats:   7       0 loop0 {reads} 0 0 999999 0 0 0 0 0 0 0 0 0 0 0 0 0
/proc/net/dev:  eth0: 1000 {packets} {errors} 0 0 0 0 0 1000 0 0 0 0 0 0 0
filesystem /dev/sda1 / ext4 rw,relatime 0 4096 26214400 {blocks} 6553600 6000000
filesystem /dev/sda2 /boot ext4 rw,relatime 0 4096 131072 100 32768 30000
filesystem /dev/sda3 /with\\040space ext4 ro,relatime 0 4096 26214400 100 6553600 100
"""
WELL = {
    "user": 1000,
    "steal": 0,
    "available": 4194304,
    "ooms": 3,
    "faults": 0,
    "swapped": 0,
    "stalled": "0.00",
    "reads": 0,
    "read_ms": 0,
    "busy_ms": 0,
    "packets": 0,
    "errors": 0,
    "blocks": 13107200,
}


def after_a_minute(**then: object) -> dict[str, float]:
    """The metrics of two looks a minute apart, between which the counters grew to `then`."""
    history, vitals = History(), Vitals()
    for seconds, figures_then in ((0.0, WELL), (60.0, WELL | then)):
        vitals = parse(BUSY.format(**figures_then).encode())
        history.add(seconds, figures.counters_of(vitals), {})
    found = figures.memory(vitals, history) | figures.pressure(vitals) | figures.processors(vitals, history)
    for part in (figures.disks, figures.network, figures.hardware):
        found |= part(vitals, history)[0]
    ours = [one for one in vitals.filesystems if one.is_ours]
    return found | figures.filesystems(ours, history, figures.read_only(ours, {}, ()))[0]


def holding(metrics: dict[str, float]) -> set[str]:
    reading = replace(connector.sample, metrics=metrics)
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


def test_a_machine_at_work_raises_nothing_however_busy() -> None:
    """All processors in use, a load of ninety, the disk busy all the time, half the memory in use, a full /boot."""
    busy = after_a_minute(user=13000, reads=60_000, read_ms=120_000, busy_ms=60_000, packets=100_000, errors=10)

    assert busy["cpu_used_ratio"] > 0.99
    assert busy["load_per_processor"] == 40.0
    assert busy["disk_busy_ratio"] == 1.0
    assert holding(busy) == set()


@pytest.mark.parametrize(
    ("then", "rules"),
    [
        ({"available": 800_000}, {"machine-memory-low"}),
        ({"available": 200_000}, {"machine-memory-exhausted"}),
        ({"stalled": "41.00"}, {"machine-thrashing"}),
        ({"ooms": 4}, set[str]()),  # of a container within its own limit: the machine has memory
        ({"ooms": 4, "available": 1_000_000}, {"machine-oom-kill"}),
        ({"user": 1100, "steal": 50}, {"machine-cpu-steal"}),
        ({"reads": 600, "read_ms": 90_000}, {"machine-disk-slow"}),
        ({"reads": 6, "read_ms": 9_000}, set[str]()),  # a disk that slept and woke up
        ({"packets": 10_000, "errors": 200}, {"machine-network-errors"}),
        ({"packets": 10, "errors": 2}, set[str]()),
        ({"blocks": 2_000_000}, {"machine-disk-low"}),
        ({"blocks": 300_000}, {"machine-disk-full"}),
    ],
)
def test_what_runs_out_is_told(then: dict[str, object], rules: set[str]) -> None:
    assert holding(after_a_minute(**then)) == rules


def test_a_large_disk_or_memory_is_not_short_because_of_a_small_share() -> None:
    large = "/proc/meminfo:MemTotal: 1073741824 kB\n/proc/meminfo:MemAvailable: 20971520 kB\n"
    large += f"filesystem /dev/sda1 / xfs rw 0 4096 {4096 * GIB // 4096} {50 * GIB // 4096} 0 0\n"
    vitals = parse(large.encode())
    metrics = figures.memory(vitals, History()) | figures.filesystems(vitals.filesystems, History(), ())[0]

    assert metrics["memory_used_ratio"] > 0.98
    assert metrics["disk_used_ratio"] > 0.98
    assert holding(metrics) == set()


def test_a_disk_that_fills_steadily_is_told_hours_before_and_one_large_file_is_not() -> None:
    steady, once = History(), History()
    for minute in range(50):
        steady.add(minute * 60.0, {}, {"/": 100.0 - minute})
        once.add(minute * 60.0, {}, {"/": 100.0 if minute < 25 else 40.0})

    assert steady.full_in("/") == pytest.approx(51 * 60.0, rel=0.05)
    assert once.full_in("/") is None


def test_a_read_only_filesystem_is_a_fault_only_where_it_was_meant_to_be_written() -> None:
    vitals = parse(b"filesystem /dev/sdb1 /data ext4 ro,relatime 0 4096 100000 50000 1000 900\n")

    assert figures.read_only(vitals.filesystems, {}, ()) == []
    assert figures.read_only(vitals.filesystems, {}, ["/dev/sdb1 /data ext4 ro 0 2"]) == []
    assert figures.read_only(vitals.filesystems, {"/data": True}, ()) == ["/data"]
    assert figures.read_only(vitals.filesystems, {}, ["/dev/sdb1 /data ext4 defaults,errors=remount-ro 0 2"]) == [
        "/data"
    ]


def test_a_filesystem_that_fails_is_told_and_one_that_may_not_be_looked_at_is_not() -> None:
    said = b"filesystem /dev/sdb1 /data ext4 rw 0 stat: cannot read file system information for '/data': %s\n"

    (broken,) = parse(said % b"Input/output error").filesystems
    assert not broken.answers
    assert parse(said % b"Permission denied").filesystems == []


def test_degraded_arrays_and_bonds_failing_memory_and_heat_are_told() -> None:
    vitals = parse(
        b"/proc/mdstat:Personalities : [raid1]\n"
        b"/proc/mdstat:md0 : active raid1 sdb1[1] sda1[0](F)\n"
        b"/proc/mdstat:      976630336 blocks super 1.2 [2/1] [_U]\n"
        b"/proc/mdstat:md1 : active raid1 sdb2[1] sda2[0]\n"
        b"/proc/mdstat:      976630336 blocks super 1.2 [2/2] [UU]\n"
        b"/proc/mdstat:md2 : inactive sdc1[0](S)\n"
        b"/proc/net/bonding/bond0:MII Status: up\n"
        b"/proc/net/bonding/bond0:Slave Interface: eth0\n"
        b"/proc/net/bonding/bond0:MII Status: down\n"
        b"/sys/class/hwmon/hwmon0/temp1_input:99000\n"
        b"/sys/class/hwmon/hwmon0/temp1_crit:100000\n"
        b"/sys/class/hwmon/hwmon0/temp1_crit_alarm:1\n"
        b"/sys/devices/system/edac/mc/mc0/ue_count:7\n"
        b"/sys/devices/system/edac/mc/mc0/ce_count:20\n"
    )
    history = History()
    history.add(0.0, {"edac uncorrectable": 6.0, "edac correctable": 5.0}, {})
    history.add(60.0, figures.counters_of(vitals), {})
    found, facts = figures.hardware(vitals, history)
    found |= figures.network(vitals, history)[0]

    assert facts["raid"] == "md2, md0"
    assert holding(found) == {
        "machine-raid-degraded",
        "machine-raid-inactive",
        "machine-bond-degraded",
        "machine-memory-faulty",
        "machine-memory-correcting",
        "machine-hot",
        "machine-overheated",
    }


def test_a_clock_is_compared_with_ours_by_no_more_than_is_known() -> None:
    assert compared(100.05, 100.0, 100.1) == 0.0
    assert compared(101.0, 100.0, 100.1) == pytest.approx(0.9)
    assert compared(99.0, 100.0, 100.1) == pytest.approx(1.0)
    assert own_clock().get("clock_offset_seconds", 0.0) < 1.0


# This machine -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def machine() -> AsyncIterator[MachineHost]:
    async with Machine(LocalShell(), labels={"watchkeeper.environment": "lab"}) as opened:
        yield MachineHost(opened)


def session_of(host: MachineHost, **settings: object) -> MachineSession:
    return MachineSession(replace(resource_on(host, kind="machine"), settings=settings), host)


async def look(session: MachineSession) -> Reading:
    session.gathered_at = float("-inf")
    return await connector.read(session, None)


async def test_this_machine_is_found_and_told(machine: MachineHost) -> None:
    (found,) = [resource async for resource in connector.discover([machine], {})]
    assert found.id == f"local/lab/machine/{machine.name}"
    assert not found.may_act

    reading = await look(session_of(machine))
    assert reading.ok
    assert 0 < reading.metrics["memory_available_bytes"] < reading.metrics["memory_total_bytes"]
    assert reading.metrics["filesystems"] >= 1
    assert (await connector.probe(session_of(machine))).ok


async def test_looks_that_follow_quickly_cost_nothing_and_say_how_old_they_are(machine: MachineHost) -> None:
    session = session_of(machine)
    first = await connector.read(session, None)
    again = await connector.read(session, first)

    assert again.metrics == first.metrics
    assert again.age > 0


async def test_a_machine_is_never_restarted(machine: MachineHost) -> None:
    with pytest.raises(Refused):
        await machine.restart()


def test_mounts_that_are_none_are_refused(tmp_path: Path) -> None:
    host = MachineHost(Machine(LocalShell()))
    with pytest.raises(ConfigurationError, match="mount points"):
        session_of(host, filesystems=["data"])


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 24 MB with few inodes."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting a filesystem needs root and mkfs.ext4")
    image, mount = tmp_path / "image", tmp_path / "with space"
    mount.mkdir()
    subprocess.run(["truncate", "-s", "24M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-N", "128", image], check=True)
    made = subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no filesystem can be mounted here: {made.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", mount], check=True)


def on_disks(reading: Reading) -> set[str]:
    return {rule for rule in holding(dict(reading.metrics)) if rule.startswith(ABOUT)}


async def test_a_filesystem_that_is_filled_uses_up_its_inodes_and_becomes_read_only(
    machine: MachineHost, small: Path
) -> None:
    session = session_of(machine, filesystems=[str(small)])
    unnamed = await look(session_of(machine))
    reading = await look(session)
    assert reading.metrics["filesystems"] == unnamed.metrics["filesystems"] + 1  # a loop device counts only if named
    assert not on_disks(reading)

    subprocess.run(["fallocate", "-l", f"{os.statvfs(small).f_bavail * 1024 - 65536}", small / "big"], check=True)
    reading = await look(session)
    assert on_disks(reading) == {"machine-disk-full"}
    assert reading.facts["fullest"] == str(small)
    assert "MB left" in reading.state
    largest = await connector.tools[1].run(session, path=str(small))
    assert largest["folders"][0]["bytes"] > 10e6

    (small / "big").unlink()
    for number in range(200):
        try:
            (small / str(number)).touch()
        except OSError:
            break
    reading = await look(session)
    assert on_disks(reading) == {"machine-inodes-out"}
    assert reading.facts["fewest_inodes"] == str(small)

    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    reading = await look(session)
    assert reading.facts["read_only"] == str(small)
    assert on_disks(reading) == {"machine-filesystem-read-only"}

    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    subprocess.run(["find", small, "-maxdepth", "1", "-type", "f", "-delete"], check=True)
    assert not on_disks(await look(session))


async def test_a_deleted_file_that_is_held_open_is_found(machine: MachineHost, tmp_path: Path) -> None:
    path = tmp_path / "held"
    with path.open("wb") as held:
        held.write(b"x" * 5_000_000)
        held.flush()
        path.unlink()
        found = await connector.tools[1].run(session_of(machine), path=str(tmp_path), number=50)
    assert {"path": str(path), "bytes": 5_000_000, "pid": os.getpid()} in found["deleted_but_open"]


async def test_who_holds_memory_is_told(machine: MachineHost) -> None:
    hungry = await asyncio.create_subprocess_exec(
        "python3", "-c", "held = bytearray(b'x') * (300 << 20); print('', flush=True); input()",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert hungry.stdout is not None
    await hungry.stdout.readline()
    try:
        processes = await connector.tools[0].run(session_of(machine), number=50)
    finally:
        hungry.kill()
        await hungry.wait()
    (told,) = [one for one in processes if one["pid"] == hungry.pid]
    assert told["memory_bytes"] > 300 << 20
