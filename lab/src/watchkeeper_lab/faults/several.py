"""Several things break at once, or one breaks because of another."""

from watchkeeper_lab.faults.site import Injector

INJECTORS: dict[str, Injector] = {}
