"""How a plain process was started, so that it can be started again."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watchkeeper.domain import Refused
from watchkeeper.hosts.proc import Process, Survey

_SUPERVISORS = {
    "supervisord": "supervisorctl restart NAME",
    "containerd-shim": "docker restart NAME",
    "containerd-shim-runc-v2": "docker restart NAME",
    "conmon": "podman restart NAME",
    "runsv": "sv restart NAME",
    "s6-supervise": "s6-svc -r SERVICE",
    "supervise": "svc -t SERVICE",
    "circusd": "circusctl restart NAME",
    "monit": "monit restart NAME",
    "pm2": "pm2 restart NAME",
    "systemd": "systemctl --user restart UNIT",
    "dockerd": "docker restart NAME",
}
_LOST = "/dev/null"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a process was started with. Secrets among it: kept in memory, and in the one file of `remembered`."""

    program: str
    directory: str
    stdout: str
    stderr: str
    uid: str
    gid: str
    groups: str
    umask: str
    files: str
    cgroups: str
    environment: Mapping[str, str]

    def arguments(self) -> list[str]:
        """As `restart.sh` takes them. Output that went through a pipe or to a terminal goes nowhere."""
        groups = ",".join(self.groups.split())
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        places = [_file(self.stdout), _file(self.stderr)]
        head = [self.directory, *places, self.uid, self.gid, groups, self.umask or "022", self.files, self.cgroups]
        return [*head, *variables]

    def command(self, process: Process, told: tuple[Sequence[str], bytes] | None) -> tuple[list[str], bytes]:
        """The command line, and what it reads first. Raises Refused where it cannot be known."""
        if not self.program:
            raise Refused("Which program it is may not be read; that needs its user or root.")
        if process.titled:
            if told is None:
                raise Refused(
                    f"{process.program} wrote a title over its command line: what it was started with cannot be read.",
                    "Run it as a systemd unit, or restart it by hand.",
                )
            return [self.program, *told[0]], told[1]
        return [self.program, *process.argv[1:]], b""


def _file(target: str) -> str:
    usable = (
        target.startswith("/") and not target.endswith(" (deleted)") and not target.startswith(("/dev/pts", "/dev/tty"))
    )
    return target if usable else _LOST


def recipe_of(described: bytes) -> Recipe:
    """What `describe.sh` wrote."""
    fields = [os.fsdecode(word) for word in described.split(b"\0")]
    variables = [word.split("=", 1) for word in fields[10:] if word[:1].isidentifier() and "=" in word]
    environment = {name: value for name, value in variables if name.isidentifier()}
    environment.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    program, cwd, out, err, uid, gid, groups, umask, files, cgroups = fields[:10]
    return Recipe(program, cwd, out, err, uid, gid, groups, umask, files, cgroups, environment)


def supervisor(process: Process, survey: Survey) -> tuple[str, str] | None:
    """Who would start it again by itself, and how one restarts it there; None where nobody known does."""
    parent = survey.processes.get(process.ppid)
    while parent is not None and parent.pid != 1:
        if by_hand := _SUPERVISORS.get(parent.program) or _SUPERVISORS.get(parent.comm):
            return parent.program, by_hand
        parent = survey.processes.get(parent.ppid)
    return None
