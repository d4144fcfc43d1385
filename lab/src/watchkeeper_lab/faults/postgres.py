"""Faults and controls of PostgreSQL."""

from watchkeeper_lab.faults.site import Injector

INJECTORS: dict[str, Injector] = {}
