"""What breaks the lab, and what only looks like it: a module for each technology, with its `INJECTORS` by scenario.

Each injector returns once its fault is in effect, with the moment (Unix time) from which it was. What it starts that
has to outlive it (a query, a connection) is started through `site.background`, which `reset` ends.
"""

from watchkeeper_lab.faults import controls, network, nginx, postgres, redis, several, shop
from watchkeeper_lab.faults.site import Injector, Site
from watchkeeper_lab.stack import SHOP, TICKETS
from watchkeeper_lab.tickets import faults as tickets

PARTS = (redis, postgres, nginx, shop, network, several, controls)
INJECTORS: dict[str, Injector] = {name: injector for part in PARTS for name, injector in part.INJECTORS.items()}
BY_STACK: dict[str, dict[str, Injector]] = {SHOP.name: INJECTORS, TICKETS.name: tickets.INJECTORS}

__all__ = ["BY_STACK", "INJECTORS", "Injector", "Site"]
