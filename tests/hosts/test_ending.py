"""What `systemctl show` says of a unit, and what is made of it. As systemd 252 writes it; no systemd runs here."""

import pytest

from watchkeeper.hosts.ending import OomKills, of_unit
from watchkeeper.hosts.proc import Survey, Unit, parse

SHOWN = """\
Type=notify
MainPID={pid}
Result={result}
NRestarts=2
ExecMainStartTimestampMonotonic=123456789
ExecMainExitTimestampMonotonic=223456789
ExecMainCode={code}
ExecMainStatus={status}
ExecStart={{ path=/usr/bin/redis-server ; argv[]=/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd ; \
ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}
ControlGroup=/system.slice/redis-server.service
MemoryCurrent=[not set]
MemoryMax=infinity
CPUUsageNSec=18446744073709551615
Id=redis-server.service
LoadState=loaded
ActiveState={active}
SubState=dead
UnitFileState=enabled
"""


def survey(active: str, result: str, *, code: int = 0, status: int = 0, pid: int = 0) -> Survey:
    shown = SHOWN.format(pid=pid, result=result, code=code, status=status, active=active)
    text = f"boot 12345678-0000\n/proc/77/stat:77 (redis-server) S {' '.join(['1'] * 50)}\nsystemd\n{shown}\ncommands\n"
    return parse(text.encode(), full=True)


def unit(of: Survey) -> Unit:
    return of.units["redis-server.service"]


@pytest.mark.parametrize(
    ("active", "result", "code", "status", "cause", "exit_code"),
    [
        ("inactive", "success", 1, 0, "on_purpose", 0),
        ("failed", "signal", 2, 9, "killed", 137),
        ("failed", "signal", 2, 11, "exited", 139),
        ("failed", "core-dump", 3, 6, "exited", 134),
        ("failed", "exit-code", 1, 3, "exited", 3),
        ("failed", "oom-kill", 2, 9, "oom", 137),
        ("failed", "start-limit-hit", 1, 1, "exited", 1),
        ("failed", "timeout", 2, 9, "unknown", 137),
    ],
)
def test_why_a_unit_stopped(active: str, result: str, code: int, status: int, cause: str, exit_code: int) -> None:
    found = survey(active, result, code=code, status=status)
    state = of_unit(unit(found), found)
    assert (state.status, state.stopped_by, state.exit_code) == ("exited", cause, exit_code)


@pytest.mark.parametrize(
    ("own", "number", "rose", "cause"),
    [
        ("4:memory:/", 9, True, "oom"),
        ("4:memory:/", 9, False, "killed"),
        ("4:memory:/", 15, True, "killed"),
        ("0::/", 9, True, "killed"),
    ],
    ids=["killed for memory", "killed by hand", "another signal", "version 2, where systemd is told"],
)
def test_with_control_groups_of_version_1_the_kernels_count_tells_of_a_lack_of_memory(
    own: str, number: int, rose: bool, cause: str
) -> None:
    found = survey("failed", "signal", code=2, status=number)
    found.own_cgroup = own
    assert of_unit(unit(found), found, oom=rose).stopped_by == cause


def test_a_process_that_is_seen_while_it_dies_was_killed_for_memory_all_the_same() -> None:
    kills = OomKills()
    kills.alive(7)
    kills.alive(8)
    kills.ended(8)
    assert kills.rose
    kills.alive(8)
    assert not kills.rose


def test_a_unit_that_runs_and_one_that_is_started_again_by_systemd() -> None:
    found = survey("active", "success", pid=77)
    state = of_unit(unit(found), found)
    assert (state.status, state.pid, state.stopped_by, state.exit_code) == ("running", 77, "", None)
    waiting = survey("activating", "signal", code=2, status=9)
    assert of_unit(unit(waiting), waiting).status == "restarting"


def test_figures_that_are_not_kept_are_not_taken_for_figures() -> None:
    said = unit(survey("active", "success", pid=77))
    assert said.command == "/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd"
    assert (said.number("NRestarts"), said.number("MemoryMax"), said.number("CPUUsageNSec")) == (2, None, None)
