"""Replicas of an application, each by itself: whether it answers, and what memory it uses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.oracle.finding import Finding, brief
from watchkeeper_lab.services import ServiceState

TIMES = 3
"""How often each replica is asked for each path: one that fails now and then is found."""
LONGEST = 160
"""Characters of a failed answer that are told."""
MEMORY_LIMIT = 0.92
"""Share of its memory limit from which a replica counts as about to be ended by the kernel."""
CGROUPS = Path("/sys/fs/cgroup")


async def asked(name: str, state: ServiceState, paths: Sequence[str], *, seconds: float) -> str:
    """Ask one replica; what went wrong, or nothing."""
    failed: list[str] = []
    async with loopback(f"http://127.0.0.1:{state.port}", timeout=seconds) as client:
        for path in [*paths] * TIMES:
            try:
                answer = await client.get(path)
            except httpx.HTTPError as error:
                return f"{name} failed at GET {path}: {brief(error)}"
            said = f"status {answer.status_code} at GET {path}: {answer.text[:LONGEST]}"
            failed += [said] if answer.status_code >= 500 else []
    return f"{name} failed {len(failed)} of {len(paths) * TIMES} requests: {failed[0]}" if failed else ""


def weigh(found: Finding, name: str, state: ServiceState) -> None:
    """Add the share of its memory limit that it uses, and a reason where that is nearly all."""
    used = memory_used(state.pid) if state.memory_limit else None
    if used is None:
        return
    ratio = used / state.memory_limit
    found.facts[f"{name.replace('-', '_')}_memory_ratio"] = round(ratio, 4)
    if ratio >= MEMORY_LIMIT:
        found.reasons.append(f"{name} uses {ratio:.1%} of its memory limit")


def expect(answer: httpx.Response, status: int) -> Any:
    """The JSON of an answer with this status. Raises AssertionError for another."""
    if answer.status_code != status:
        raise AssertionError(f"status {answer.status_code}")
    return answer.json()


def memory_used(pid: int) -> int | None:
    """Bytes that the control group of a process holds and cannot give back; None where this machine does not tell."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                folder, used, inactive = (
                    CGROUPS / "memory" / path.lstrip("/"),
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                )
                break
        else:
            folder, used, inactive = CGROUPS / lines[0].split(":", 2)[2].lstrip("/"), "memory.current", "inactive_file"
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int((folder / used).read_text()) - int(stat[inactive])
    except (OSError, ValueError, KeyError, IndexError):
        return None
