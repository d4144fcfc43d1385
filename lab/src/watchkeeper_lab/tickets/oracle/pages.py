"""The handbook, as its readers see it; and whether its server would take its own configuration."""

import hashlib

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.oracle.finding import Finding, Place, brief

PROBE_SECONDS = 4.0


async def look(place: Place) -> Finding:
    """Test the configuration, and read a page through the gate."""
    found, service = Finding(), place.instance.stack.nginx
    state = place.states.get(service)
    if state is not None and state.running:
        try:
            tested = await place.services.execute(service, "nginx", "-T")
            if tested.ok:
                digest = hashlib.blake2b(tested.out.encode(), digest_size=8).hexdigest()
                found.untouched["pages config"] = digest
            else:
                last = (tested.err.strip().splitlines() or ["it says nothing"])[-1]
                found.reasons.append(f"the configuration of pages is not valid: {last[:160]}")
        except TimeoutError as error:
            found.reasons.append(f"the configuration of pages could not be tested: {brief(error)}")
    try:
        async with loopback(place.instance.front_url, timeout=PROBE_SECONDS) as client:
            if (status := (await client.get("/help/")).status_code) != 200:
                found.reasons.append(f"the handbook was answered with status {status}")
    except httpx.HTTPError as error:
        found.reasons.append(f"the handbook was not served: {brief(error)}")
    return found
