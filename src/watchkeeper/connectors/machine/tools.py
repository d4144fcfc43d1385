"""What can be asked of a machine. Nothing here changes one: what fills a disk or holds memory a person must judge."""

from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors.machine.read import MachineSession
from watchkeeper.domain import Effect, Refused, Tool, WatchkeeperError, tool

_DU_SECONDS = 50.0
_WORTH_TELLING = 1 << 20
_PS = ["ps", "-eo", "pid,user:20,rss,pcpu,comm", "--sort=-rss", "--no-headers"]


@tool(Effect.READ, timeout=15.0, by_hand="ps -eo pid,user,rss,pcpu,args --sort=-rss | head")
async def machine_top(session: MachineSession, number: Annotated[int, Ge(1), Le(50)] = 10) -> list[dict[str, Any]]:
    """The processes that hold most memory (resident, in bytes), and the share of one processor that each used since its
    start."""
    done = await session.host.exec(_PS, timeout=10.0)
    if done.exit_code:
        raise WatchkeeperError(f"Processes cannot be listed there: {done.stderr.strip()[:200]}")
    found: list[dict[str, Any]] = []
    for line in done.stdout.splitlines()[:number]:
        pid, user, rss, cpu, name = line.split(None, 4)
        found.append(
            {"pid": int(pid), "user": user, "memory_bytes": int(rss) * 1024, "cpu_percent": float(cpu), "name": name}
        )
    return found


@tool(Effect.READ, timeout=60.0, by_hand="du -xb --max-depth=3 {path} | sort -n | tail")
async def machine_largest(
    session: MachineSession, path: str = "/", number: Annotated[int, Ge(1), Le(50)] = 15
) -> dict[str, Any]:
    """Which folders below a path hold most, within its filesystem, down to three levels; and files that were deleted
    and still hold room because a process has them open. Reads every folder: it takes a while, and disk time."""
    if not path.startswith("/"):
        raise Refused("A path begins with /.")
    # Idle priority where the machine has ionice and nice: those that are served go first.
    command = 'n=$(command -v ionice) && set -- "$n" -c3 "$@"; exec nice -n 19 "$@"'
    du = ["du", "-xk", "--max-depth=3", "--", path]
    done = await session.host.exec(["sh", "-c", command, "sh", *du], timeout=_DU_SECONDS)
    sizes: list[tuple[int, str]] = []
    for line in done.stdout.splitlines():
        size, _, folder = line.partition("\t")
        if size.isdigit():
            sizes.append((int(size) * 1024, folder))
    if not sizes:
        raise WatchkeeperError(f"{path} cannot be read there: {done.stderr.strip()[:200]}")
    largest = sorted(sizes, reverse=True)[:number]
    return {
        "folders": [{"path": folder, "bytes": size} for size, folder in largest],
        "deleted_but_open": await _deleted(session, number),
        "not_all_read": bool(done.exit_code),
    }


async def _deleted(session: MachineSession, number: int) -> list[dict[str, Any]]:
    """Without root only those of our own processes are seen."""
    found = ["find", "/proc", "-maxdepth", "3", "-path", "/proc/[0-9]*/fd/*", "-lname", "/* (deleted)"]
    done = await session.host.exec([*found, "-printf", "%p\t%l\n"], timeout=10.0)
    paths = [line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line]
    paths = [pair for pair in paths if not pair[1].startswith(("/memfd:", "/dev/", "/SYSV", "/anon_hugepage"))]
    if not paths:
        return []
    sizes = await session.host.exec(["stat", "-L", "-c", "%s %i %n", "--", *(path for path, _ in paths[:500])])
    by_link = dict(paths)
    seen: set[str] = set()
    held: list[dict[str, Any]] = []
    for line in sizes.stdout.splitlines():
        size, inode, link = line.split(" ", 2)
        if inode not in seen and link in by_link and int(size) >= _WORTH_TELLING:
            seen.add(inode)
            file = by_link[link].removesuffix(" (deleted)")
            held.append({"path": file, "bytes": int(size), "pid": int(link.split("/")[2])})
    return sorted(held, key=lambda one: -one["bytes"])[:number]


TOOLS: tuple[Tool[MachineSession], ...] = (machine_top, machine_largest)
