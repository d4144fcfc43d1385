"""Faults of the network between one replica of the shop and what it needs: nothing Watchkeeper can do mends them."""

import random
import time

from watchkeeper_lab import namespaces
from watchkeeper_lab.faults.site import Injector, Site
from watchkeeper_lab.services import ServiceState

POSTGRES = 5432
BURST_SECONDS = (1.0, 2.0)


async def packet_loss(site: Site) -> float:
    """A good part of the packets between one replica and PostgreSQL is lost, either way."""
    states = await site.services.states()
    await _lose(await _one(site, states), states["postgres"], random.uniform(0.25, 0.4))
    return time.time()


async def choked(site: Site) -> float:
    """What PostgreSQL and one replica send each other passes at a few kbit/s, and waits in a queue."""
    states = await site.services.states()
    shop, postgres = await _one(site, states), states["postgres"]
    kbit = random.randint(16, 24)
    there, here = await namespaces.address(postgres), await namespaces.address(shop)
    await namespaces.choke(postgres, kbit, "-p", "tcp", "--sport", str(POSTGRES), "-d", here)
    await namespaces.choke(shop, kbit, "-p", "tcp", "--dport", str(POSTGRES), "-d", there)
    return time.time()


async def partitioned(site: Site) -> float:
    """One replica is cut off from all the others: nothing passes between them, either way."""
    states = await site.services.states()
    shop = await _one(site, states)
    for other in states.values():
        if other.where != shop.where and other.pid:
            where = await namespaces.address(other)
            await namespaces.drop(shop, "OUTPUT", "-d", where)
            await namespaces.drop(shop, "INPUT", "-s", where)
    return time.time()


async def unresolved(site: Site) -> float:
    """One replica resolves no names any more: its name server is unreachable, or another one that nobody answers at."""
    shop = await _one(site, await site.services.states())
    if random.random() < 0.5:
        namespaces.resolver(shop).write_text(f"nameserver 192.0.2.{random.randint(1, 254)}\noptions timeout:1\n")
    else:
        for protocol in ("udp", "tcp"):
            await namespaces.drop(shop, "OUTPUT", "-d", "127.0.0.11", "-p", protocol)
    return time.time()


async def burst(site: Site) -> float:
    """Packets are lost for a second or two, and then no more: what connections get over by themselves."""
    states = await site.services.states()
    shop = await _one(site, states)
    await _lose(shop, states["postgres"], random.uniform(0.25, 0.4))
    seconds = f"{random.uniform(*BURST_SECONDS):.2f}"
    began = time.time()
    await site.background.start("burst", "watchkeeper_lab.burst", str(shop.pid), seconds)
    return began


async def slow_peer(site: Site) -> float:
    """Redis takes its time for every answer; the network to it is as good as ever."""
    await site.background.start("slow-peer", "watchkeeper_lab.slow_peer", site.instance.name)
    return time.time()


async def _lose(shop: ServiceState, postgres: ServiceState, share: float) -> None:
    where = await namespaces.address(postgres)
    by_chance = ("-m", "statistic", "--mode", "random", "--probability", f"{share:.3f}")
    await namespaces.drop(shop, "OUTPUT", "-p", "tcp", "-d", where, "--dport", str(POSTGRES), *by_chance)
    await namespaces.drop(shop, "INPUT", "-p", "tcp", "-s", where, "--sport", str(POSTGRES), *by_chance)


async def _one(site: Site, states: dict[str, ServiceState]) -> ServiceState:
    return states[random.choice(sorted(await site.replicas()))]


INJECTORS: dict[str, Injector] = {
    "network-packet-loss": packet_loss,
    "network-link-choked": choked,
    "replica-partitioned": partitioned,
    "dns-failing": unresolved,
    "network-burst": burst,
    "network-slow-peer": slow_peer,
}
