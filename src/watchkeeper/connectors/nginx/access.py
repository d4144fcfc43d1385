"""Which of a host's processes is an nginx, and what it was started with."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper.connectors.commands import starts

SERVERS = frozenset({"nginx", "nginx-debug", "openresty", "tengine", "angie", "freenginx"})
_TITLE = re.compile(r"^nginx: (master|worker) process ?")
_FLAG = re.compile(r"(?:^|\s)-([cpge])\s*(.*?)(?=\s+-[cpgeqtTs](?:\s|$)|$)", re.DOTALL)
CONFIGURATION = "/etc/nginx/nginx.conf"


@dataclass(frozen=True, slots=True)
class Command:
    """What a server was started with, as far as its title tells; empty: its own default."""

    program: str = "nginx"
    configuration: str = ""
    prefix: str = ""
    directives: str = ""
    error_log: str = ""

    def arguments(self) -> list[str]:
        """The flags, each with its value as one word."""
        pairs = (("-p", self.prefix), ("-c", self.configuration), ("-e", self.error_log), ("-g", self.directives))
        return [word for flag, value in pairs if value for word in (flag, value)]


def is_server(processes: Sequence[str]) -> bool:
    """Whether one of these commands is a server: by its title or name, or started by an entry point script."""
    return any(_TITLE.match(command) or _started(command) is not None for command in processes)


def command_of(processes: Sequence[str]) -> Command:
    """How the server was started: from the title of its master, else from the command that starts it."""
    titles = [command for command in processes if command.startswith("nginx: master process ")]
    told = [_TITLE.sub("", title) for title in titles]
    said = next((text for text in (*told, *filter(None, map(_started, processes))) if text), "")
    flags = {flag: value.strip(" '\"") for flag, value in _FLAG.findall(said)}
    first = said.split()[0] if said.split() else "nginx"
    program = first if posixpath.basename(first) in SERVERS else "nginx"
    return Command(program, flags.get("c", ""), flags.get("p", ""), flags.get("g", ""), flags.get("e", ""))


def _started(command: str) -> str | None:
    """The part of a command from the server's name on; None where it starts none."""
    at = starts(command, SERVERS)
    return None if at is None else " ".join(word.strip("'\"") for word in command.split()[at:])
