"""Faults and controls of the shop's own replicas."""

from watchkeeper_lab.faults.site import Injector

INJECTORS: dict[str, Injector] = {}
