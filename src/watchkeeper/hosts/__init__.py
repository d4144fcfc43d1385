"""How to handle what a service runs on: a container, a systemd unit, a plain process; here, or over SSH."""

from watchkeeper.hosts.container import ContainerHost
from watchkeeper.hosts.engine import Change, Engine
from watchkeeper.hosts.kept import Kept
from watchkeeper.hosts.machine import Machine
from watchkeeper.hosts.service import ServiceHost
from watchkeeper.hosts.shell import LocalShell, Shell
from watchkeeper.hosts.ssh import SshShell
from watchkeeper.hosts.usage import ContainerStats, ServiceUsage
from watchkeeper.hosts.whole import MachineHost, Wholes

__all__ = [
    "Change",
    "ContainerHost",
    "ContainerStats",
    "Engine",
    "Kept",
    "LocalShell",
    "Machine",
    "MachineHost",
    "ServiceHost",
    "ServiceUsage",
    "Shell",
    "SshShell",
    "Wholes",
]
