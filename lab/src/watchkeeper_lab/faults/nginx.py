"""Faults and controls of nginx."""

from watchkeeper_lab.faults.site import Injector

INJECTORS: dict[str, Injector] = {}
