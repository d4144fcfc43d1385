"""Somebody breaks the handbook's configuration."""

import random
import time

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site

CONFIG = "/etc/nginx/conf.d/handbook.conf"
TYPOS = (("expires 5m;", "expires 5m"), ("index index.html;", "indx index.html;"), ("listen ", "lisen "))


async def broken_configuration(site: Site) -> float:
    """Put a configuration in place that nginx would refuse; nobody reloads it."""
    service = site.stack.nginx
    config = await site.services.read_file(service, CONFIG)
    before, after = random.choice([pair for pair in TYPOS if pair[0] in config])
    await site.services.write_file(service, CONFIG, config.replace(before, after, 1))
    broken_at = time.time()
    if (await site.services.execute(service, "nginx", "-t")).ok:
        raise LabError("nginx takes the broken configuration.", "Run `watchkeeper lab reset` and try again.")
    return broken_at
