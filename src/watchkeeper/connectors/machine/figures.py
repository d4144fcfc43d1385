"""Metrics out of a machine's vitals. Pure: what the kernel says goes in, numbers and a few words come out."""

import re
from collections.abc import Iterator, Mapping, Sequence

from watchkeeper.connectors.machine.history import History
from watchkeeper.connectors.machine.vitals import Filesystem, Vitals

_GIB = float(1 << 30)
MEMORY_THAT_COUNTS = 16 * _GIB
"""Headroom is a share of the memory, of at most so much of it: 5 % of a terabyte is no shortage."""
DISK_THAT_COUNTS = 100 * _GIB
"""As much of a filesystem as its headroom is a share of."""
_NO_LIMIT = float(1 << 60)
_SECTOR_TIMES = {"reads": 0, "read_ms": 3, "writes": 4, "write_ms": 7, "busy_ms": 9}
_NET = {"received_bytes": 0, "received": 1, "receive_errors": 2, "sent_bytes": 8, "sent": 9, "send_errors": 10}
_SOME_PACKETS = 600.0
"""Packets within a minute without which a share of errors says nothing."""
_SOME_REQUESTS = 60.0
_MD = re.compile(r"\[(\d+)/(\d+)\]")


def counters_of(vitals: Vitals) -> dict[str, float]:
    """What only grows, by name, to be kept for rates."""
    found = {f"vmstat {name}": number for name, number in vitals.pairs("/proc/vmstat").items()}
    cpu = vitals.line("/proc/stat").split()[1:9]  # guest time is in user time already
    found |= {f"cpu {name}": float(ticks) for name, ticks in zip(_CPU, cpu, strict=False)}
    for device, figures in _disks(vitals):
        found |= {f"disk {device} {name}": figures[column] for name, column in _SECTOR_TIMES.items()}
    for link, figures in _links(vitals):
        found |= {f"net {link} {name}": figures[column] for name, column in _NET.items()}
    found |= {
        "edac uncorrectable": sum(n for _, n in vitals.matching("/sys/devices/system/edac/", "/ue_count")),
        "edac correctable": sum(n for _, n in vitals.matching("/sys/devices/system/edac/", "/ce_count")),
        "filesystem errors": sum(n for _, n in vitals.matching("/sys/fs/ext4/", "/errors_count")),
        "memory available": vitals.pairs("/proc/meminfo").get("MemAvailable", 0.0),
    }
    return found


_CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def _disks(vitals: Vitals) -> Iterator[tuple[str, list[float]]]:
    """Whole physical disks; a partition, a loop device and a RAID array only repeat them."""
    for line in vitals.files.get("/proc/diskstats", ()):
        words = line.split()
        name = words[2] if len(words) > 13 else ""
        if f"/sys/block/{name}" in vitals.there and not re.match(r"(loop|ram|zram|sr|fd|dm-|md|nbd)\d*", name):
            yield name, [float(word) for word in words[3:]]


def _links(vitals: Vitals) -> Iterator[tuple[str, list[float]]]:
    """Network interfaces with a device behind them, not bridges and containers' ends."""
    for line in vitals.files.get("/proc/net/dev", ()):
        name, _, figures = line.partition(":")
        if f"/sys/class/net/{name.strip()}/device" in vitals.there:
            columns = [float(word) for word in figures.split() if word.isdigit()]
            if len(columns) >= 11:
                yield name.strip(), columns


def memory(vitals: Vitals, history: History) -> dict[str, float]:
    """Page cache is not used memory: what counts is what is available without swapping (`MemAvailable`)."""
    said = vitals.pairs("/proc/meminfo")
    if "MemAvailable" not in said:
        return {}
    total, available = said["MemTotal"], said["MemAvailable"]
    swap, swap_free = said.get("SwapTotal", 0.0), said.get("SwapFree", 0.0)
    found = {
        "memory_total_bytes": total,
        "memory_available_bytes": available,
        "memory_used_ratio": 1.0 - available / total,
        "memory_headroom_ratio": min(1.0, available / min(total, MEMORY_THAT_COUNTS)),
        "swap_total_bytes": swap,
        "swap_free_ratio": swap_free / swap if swap else 0.0,
        "oom_kills": history.increase("vmstat oom_kill"),
    }
    lowest = history.lowest("memory available", 600.0)
    if lowest is not None:
        found["memory_lowest_headroom_ratio"] = min(1.0, lowest / min(total, MEMORY_THAT_COUNTS))
    if grown := history.over("vmstat pgmajfault", "vmstat pswpin"):
        found["major_faults_per_second"] = grown["vmstat pgmajfault"] / grown[""]
        found["swapped_in_pages_per_second"] = grown["vmstat pswpin"] / grown[""]
    return found


def pressure(vitals: Vitals) -> dict[str, float]:
    """The share of the last minute in which some task waited (`some`), or all that were not idle did (`full`)."""
    found: dict[str, float] = {}
    for resource in ("cpu", "memory", "io"):
        for line in vitals.files.get(f"/proc/pressure/{resource}", ()):
            kind, *words = line.split()
            average = next((word[6:] for word in words if word.startswith("avg60=")), "")
            if kind in ("some", "full") and average and not (resource == "cpu" and kind == "full"):
                found[f"{resource}_stalled_{kind}_ratio"] = float(average) / 100.0
    return found


def processors(vitals: Vitals, history: History) -> dict[str, float]:
    """Shares of the last minute of all processors together."""
    found = {"processors": float(vitals.cores)}
    load = vitals.line("/proc/loadavg").split()
    if len(load) >= 4:
        found["load_per_processor"] = float(load[1]) / vitals.cores
        tasks = float(load[3].rpartition("/")[2])
        most = vitals.number("/proc/sys/kernel/pid_max")
        if most:
            found["pids_used_ratio"] = tasks / most
    grown = history.over(*(f"cpu {name}" for name in _CPU))
    total = sum(ticks for name, ticks in grown.items() if name) if grown else 0.0
    if grown and total > 0:
        found["cpu_used_ratio"] = 1.0 - (grown["cpu idle"] + grown["cpu iowait"]) / total
        found["cpu_iowait_ratio"] = grown["cpu iowait"] / total
        found["cpu_steal_ratio"] = grown["cpu steal"] / total
    return found


def filesystems(
    ours: Sequence[Filesystem], history: History, read_only: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """The worst of each, and which that is."""
    found = {
        "filesystems": float(len(ours)),
        "filesystems_read_only": float(len(read_only)),
        "filesystems_broken": float(sum(not one.answers for one in ours)),
        "filesystem_errors": history.increase("filesystem errors"),
    }
    facts = {"read_only": ", ".join(read_only), "broken": ", ".join(one.mount for one in ours if not one.answers)}
    # What cannot be written is not filled either.
    writable = [one for one in ours if one.answers and one.size > 0 and not one.read_only]
    if writable:
        fullest = min(writable, key=headroom)
        found["disk_headroom_ratio"] = headroom(fullest)
        found["disk_available_bytes"] = fullest.available
        found["disk_used_ratio"] = 1.0 - fullest.available / fullest.size
        facts["fullest"] = fullest.mount
        shrinking = [(seconds, one) for one in writable if (seconds := history.full_in(one.mount)) is not None]
        if shrinking:
            soonest, one = min(shrinking, key=lambda pair: pair[0])
            found["disk_full_in_seconds"] = soonest
            found["filling_headroom_ratio"] = headroom(one)
            facts["filling"] = one.mount
    if counted := [one for one in writable if one.inodes > 0]:
        fewest = min(counted, key=lambda one: one.inodes_free / one.inodes)
        found["inodes_free_ratio"] = fewest.inodes_free / fewest.inodes
        facts["fewest_inodes"] = fewest.mount
    return found, facts


def headroom(one: Filesystem) -> float:
    """What is available, as a share of the filesystem, of at most `DISK_THAT_COUNTS` of it."""
    return min(1.0, one.available / min(one.size, DISK_THAT_COUNTS))


def disks(vitals: Vitals, history: History) -> tuple[dict[str, float], dict[str, str]]:
    """Of the slowest disk, over the last minute."""
    found: dict[str, float] = {}
    facts: dict[str, str] = {}
    for device, _ in _disks(vitals):
        grown = history.over(*(f"disk {device} {name}" for name in _SECTOR_TIMES))
        if grown is None:
            continue
        busy = grown[f"disk {device} busy_ms"] / 1000.0 / grown[""]
        found["disk_busy_ratio"] = max(found.get("disk_busy_ratio", 0.0), min(1.0, busy))
        for what, count, spent in (("read", "reads", "read_ms"), ("write", "writes", "write_ms")):
            number, name = grown[f"disk {device} {count}"], f"disk_{what}_seconds"
            seconds = grown[f"disk {device} {spent}"] / 1000.0 / number if number >= _SOME_REQUESTS else 0.0
            if seconds >= found.get(name, 0.0):
                found[name] = seconds
                facts[f"slowest_{what}"] = device
    return found, facts


def network(vitals: Vitals, history: History) -> tuple[dict[str, float], dict[str, str]]:
    """Of the interface that has most of it, over the last minute."""
    found = {"network_error_ratio": 0.0}
    facts: dict[str, str] = {}
    for link, _ in _links(vitals):
        grown = history.over(*(f"net {link} {name}" for name in _NET))
        if grown is None:
            continue
        packets = grown[f"net {link} received"] + grown[f"net {link} sent"]
        errors = grown[f"net {link} receive_errors"] + grown[f"net {link} send_errors"]
        if packets + errors >= _SOME_PACKETS and errors / (packets + errors) >= found["network_error_ratio"]:
            found["network_error_ratio"], facts["errors_on"] = errors / (packets + errors), link
        megabits = vitals.number(f"/sys/class/net/{link}/speed") or 0.0
        if megabits > 0:
            most = max(grown[f"net {link} received_bytes"], grown[f"net {link} sent_bytes"]) / grown[""]
            found["network_used_ratio"] = max(found.get("network_used_ratio", 0.0), most * 8 / (megabits * 1e6))
    slaves = [
        path.rpartition("/")[2]
        for path, lines in vitals.files.items()
        if path.startswith("/proc/net/bonding/") and any(_is_down(line) for line in _of_slaves(lines))
    ]
    found["bonds_degraded"] = float(len(slaves))
    facts["degraded_bonds"] = ", ".join(slaves)
    used = vitals.number("/proc/sys/net/netfilter/nf_conntrack_count")
    if used is not None and (most := vitals.number("/proc/sys/net/netfilter/nf_conntrack_max")):
        found["conntrack_used_ratio"] = used / most
    return found, facts


def _of_slaves(lines: Sequence[str]) -> Sequence[str]:
    first = next((number for number, line in enumerate(lines) if line.startswith("Slave Interface")), len(lines))
    return lines[first:]


def _is_down(line: str) -> bool:
    return line.startswith("MII Status:") and not line.endswith(" up")


def hardware(vitals: Vitals, history: History) -> tuple[dict[str, float], dict[str, str]]:
    """Open files, software RAID, memory errors, temperature."""
    found = {
        "memory_errors_uncorrectable": history.increase("edac uncorrectable"),
        "memory_errors_corrected": history.increase("edac correctable"),
    }
    facts: dict[str, str] = {}
    files = vitals.line("/proc/sys/fs/file-nr").split()
    if len(files) == 3 and 0 < float(files[2]) < _NO_LIMIT:
        found["files_used_ratio"] = float(files[0]) / float(files[2])
    degraded, inactive = raid(vitals.files.get("/proc/mdstat", ()))
    found |= {"raid_degraded": float(len(degraded)), "raid_inactive": float(len(inactive))}
    facts["raid"] = ", ".join((*inactive, *degraded))
    temperatures = dict(vitals.matching("/sys/class/hwmon/", "_input"))
    margins = [
        (most - temperatures[near]) / 1000.0
        for path, most in vitals.matching("/sys/class/hwmon/", "_crit")
        if (near := path.removesuffix("_crit") + "_input") in temperatures and most > 0
    ]
    if margins:
        found["temperature_margin_celsius"] = min(margins)
    found["temperature_alarms"] = float(sum(n for _, n in vitals.matching("/sys/class/hwmon/", "_crit_alarm")))
    return found, facts


def raid(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Arrays of /proc/mdstat with fewer disks than they want, and those that do not run."""
    degraded: list[str] = []
    inactive: list[str] = []
    name = ""
    for line in lines:
        if found := re.match(r"(md\S*)\s*:\s*(\w+)", line):
            name = found[1]
            if found[2] == "inactive":
                inactive.append(name)
        elif name and (counted := _MD.search(line)) and int(counted[2]) < int(counted[1]):
            degraded.append(name)
    return degraded, inactive


def read_only(ours: Sequence[Filesystem], written: Mapping[str, bool], fstab: Sequence[str]) -> list[str]:
    """Mounts that are read-only and ought not to be: those that were written to when they were seen before, and those
    that fstab wants otherwise. One that was mounted so on purpose is none of them."""
    wanted: set[str] = set()
    for line in fstab:
        words = line.split()
        if len(words) >= 4 and "ro" not in words[3].split(",") and "noauto" not in words[3].split(","):
            wanted.add(words[1])
    return [one.mount for one in ours if one.read_only and (written.get(one.mount) or one.mount in wanted)]
