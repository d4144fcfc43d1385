"""How to handle what a service runs on: containers today."""

from watchkeeper.hosts.container import ContainerHost
from watchkeeper.hosts.engine import Change, Engine
from watchkeeper.hosts.usage import ContainerStats

__all__ = ["Change", "ContainerHost", "ContainerStats", "Engine"]
