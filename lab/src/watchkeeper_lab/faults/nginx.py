"""Faults and controls of nginx."""

import asyncio
import random
import time

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Injector, Site
from watchkeeper_lab.nginx_link import CONFIG, active, capacity, nginx

ANSWER_SECONDS = 10.0
TYPOS = (
    ("proxy_pass http", "proxy_pas http"),
    ("proxy_http_version 1.1;", "proxy_http_version 1.1"),
    ("listen ", "lisen "),
)
"""What a hurried hand does to a configuration."""


async def connections(site: Site) -> float:
    """Hold 83 to 88 % of the connections with clients that hardly go on with their requests; they stay."""
    config = await site.services.read_file("nginx", CONFIG[site.services.ground])
    most = capacity(config)
    await site.background.start(
        "slow clients",
        "watchkeeper_lab.slow_clients",
        str(site.instance.ports["NGINX_PORT"]),
        str(int(most * random.uniform(0.83, 0.88))),
    )
    held_at, deadline = time.time(), time.monotonic() + ANSWER_SECONDS
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while True:
            used = active((await client.get(f"{site.shop_url}/nginx_status")).text) / most
            if used >= 0.8:
                return held_at
            if time.monotonic() > deadline:
                raise LabError(f"Only {used:.0%} of nginx' connections are held.", "Run `watchkeeper lab reset`.")
            await asyncio.sleep(0.1)


async def broken_configuration(site: Site) -> float:
    """Put a configuration in place that nginx would refuse; nobody reloads it."""
    path = CONFIG[site.services.ground]
    config = await site.services.read_file("nginx", path)
    before, after = random.choice([pair for pair in TYPOS if pair[0] in config])
    await site.services.write_file("nginx", path, config.replace(before, after, 1))
    broken_at = time.time()
    if (await nginx(site.services, "-t")).ok:
        raise LabError("nginx takes the broken configuration.", "Run `watchkeeper lab reset` and try again.")
    return broken_at


async def misrouted(site: Site) -> float:
    """A change that tests good and was loaded: requests are handed to a port at which nobody listens."""
    path, port = CONFIG[site.services.ground], random.choice((8001, 8080, 9000))
    config = await site.services.read_file("nginx", path)
    await site.services.write_file("nginx", path, config.replace(":8000;", f":{port};", 1))
    began = time.time()
    if not (await nginx(site.services, "-s", "reload")).ok:
        raise LabError("nginx does not take the changed configuration.", "Run `watchkeeper lab reset` and try again.")
    deadline = time.monotonic() + ANSWER_SECONDS
    async with httpx.AsyncClient(timeout=3.0, trust_env=False) as client:
        while (await client.get(f"{site.shop_url}/health")).status_code != 502:
            if time.monotonic() > deadline:
                raise LabError("nginx still reaches the shop.", "Run `watchkeeper lab reset` and try again.")
            await asyncio.sleep(0.1)
    return began


async def killed(site: Site) -> float:
    """SIGKILL; nothing starts it again."""
    began = time.time()
    await site.services.kill(site.stack.nginx)
    return began


async def upstream_gone(site: Site) -> float:
    """Kill every replica of the application: who is in front has nobody to ask."""
    began = time.time()
    await asyncio.gather(*(site.services.kill(service) for service in await site.replicas()))
    return began


INJECTORS: dict[str, Injector] = {
    "nginx-upstream-gone": upstream_gone,
    "nginx-connections-held": connections,
    "nginx-configuration-broken": broken_configuration,
    "nginx-misrouted": misrouted,
    "nginx-killed": killed,
}
