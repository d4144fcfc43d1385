"""What `watchkeeper doctor` says of each machine whose services are watched: reached or not, and what is lacking."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from watchkeeper.cli.finding import Finding

if TYPE_CHECKING:
    from watchkeeper.hosts import Machine
    from watchkeeper.settings import HostsSettings

_SUDOERS = "the line that `watchkeeper doctor --rights --as sudoers` prints"


def machines(settings: "HostsSettings", *, counted: bool = True) -> Iterator[Finding]:
    """One finding for this machine and one for each of the others, asked at once. `counted`: with how much runs there,
    of which `only` may leave out the most."""
    from watchkeeper.domain.errors import WatchkeeperError
    from watchkeeper.server.machines import far_machine, machines_of

    here = machines_of(settings.model_copy(update={"ssh": []}))
    far: list[Machine] = []
    for said in settings.ssh:
        try:
            far.append(far_machine(said))
        except WatchkeeperError as problem:
            yield Finding("hosts", "broken", f"{said.name}: {problem.what}", problem.next_step)
    yield from asyncio.run(_examine([*here, *far], counted))


async def _examine(found: "list[Machine]", counted: bool) -> list[Finding]:
    return list(await asyncio.gather(*(_finding(machine, counted) for machine in found)))


async def _finding(machine: "Machine", counted: bool) -> Finding:
    from watchkeeper.domain.errors import WatchkeeperError

    async with machine:
        hosts = await machine.hosts()
        survey = machine.survey
        if machine.problem or survey is None:
            what, _, advice = (machine.problem or "it did not answer").partition("\n")
            return Finding("hosts", "broken", what, advice)
        units = sum(bool(host.unit) for host in hosts)
        there = f"{units} units, {len(hosts) - units} plain processes that listen" if counted else "it answers"
        said = f"{machine.name or 'this machine'}: {there}"
        lacks: list[str] = []
        if survey.uid != 0:
            lacks.append("whose ports are whose, variables and ends of others' processes (root)")
        if survey.systemd and survey.uid != 0:
            try:
                allowed = await machine.shell.run("sudo -n -l | grep -q systemctl", timeout=5.0)
            except WatchkeeperError:
                allowed = None
            if not machine.sudo or allowed is None or allowed.exit_code:
                lacks.append(f"starting units (`sudo: true`, and {_SUDOERS})")
        if lacks:
            return Finding("hosts", "missing", said, f"Not permitted there: {'; '.join(lacks)}.")
        return Finding("hosts", "ok", said)
