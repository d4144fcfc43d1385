"""Machines: memory, processors, filesystems, disks and network of what everything else runs on."""

from watchkeeper.connectors.machine.connector import connector

__all__ = ["connector"]
