"""nginx as its clients see it: a request through it, its connections, and whether its configuration is one."""

import hashlib

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.nginx_link import active, capacity, nginx
from watchkeeper_lab.oracle.finding import Finding, Place, brief

CONNECTION_LIMIT = 0.80
"""Share of workers × worker_connections from which nginx counts as exhausted, as in the reference."""
PROBE_SECONDS = 3.0


async def look(place: Place) -> Finding:
    """Ask for its status page and for the shop, and test its configuration."""
    found, config = Finding(), ""
    state = place.states.get("nginx")
    if state is not None and state.running:
        try:
            tested = await nginx(place.services, "-T")
            config = tested.out
            if tested.ok:
                found.untouched["nginx config"] = hashlib.blake2b(config.encode(), digest_size=8).hexdigest()
            else:
                last = (tested.err.strip().splitlines() or ["it says nothing"])[-1]
                found.reasons.append(f"the configuration of nginx is not valid: {last[:160]}")
        except TimeoutError as error:
            found.reasons.append(f"the configuration of nginx could not be tested: {brief(error)}")
    await _requests(place, found, capacity(config))
    return found


async def _requests(place: Place, found: Finding, most: int) -> None:
    url = f"http://127.0.0.1:{place.instance.ports['NGINX_PORT']}"
    try:
        async with loopback(url, timeout=PROBE_SECONDS) as client:
            used = active((await client.get("/nginx_status")).text) / most
            found.facts["nginx_connection_ratio"] = round(used, 4)
            if used >= CONNECTION_LIMIT:
                found.reasons.append(f"nginx has {used:.1%} of its connections in use")
            if (status := (await client.get("/health")).status_code) != 200:
                found.reasons.append(f"a request through nginx was answered with status {status}")
    except httpx.HTTPError as error:
        found.reasons.append(f"nginx did not serve a request: {brief(error)}")
