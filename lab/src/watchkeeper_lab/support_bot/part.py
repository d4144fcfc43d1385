"""Brings the support-bot up beside a lab that is up, and takes it away again."""

import asyncio
import json
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import httpx

from watchkeeper_lab.command import run
from watchkeeper_lab.engine import Say, ensure_compose
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.nginx_link import nginx
from watchkeeper_lab.services import ServiceState
from watchkeeper_lab.stack import SHOP
from watchkeeper_lab.support_bot.image import ensure_image

NAME = "support-bot"
LOCATION = "/etc/nginx/beside/support-bot.conf"
RELAY = "relay"
READY_SECONDS = 120.0
WORKERS = "grep -al 'nginx: worker proces[s]' /proc/[0-9]*/cmdline | xargs -r grep -aL 'shutting dow[n]'"
"""Lists the workers of nginx but for those that only end what they began."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """A Watchkeeper that the bot pushes to, and a token of the role `sender`."""

    url: str
    token: str = ""


async def start(lab: Lab, say: Say, server: Server | None = None) -> str:
    """Start it, or start it anew to push to another server; its address, through nginx, when it answers.

    Raises `BadInputError` where the lab cannot have it, `LabError` where it does not come up.
    """
    if lab.stack.name != SHOP.name or lab.ground != "container":
        what = f"is the stack `{lab.stack.name}`" if lab.stack.name != SHOP.name else "runs as plain processes"
        raise BadInputError(
            f"The support-bot comes beside the shop, in containers, and lab `{lab.instance.name}` {what}.",
            "Start another lab: `watchkeeper lab up --name bank --with support-bot`.",
        )
    image = await ensure_image(say, lab.instance.image_source)
    say("Starting the support-bot…")
    url = await _way(lab, server) if server else ""
    await _unplace(lab)  # one that is made anew is not asked meanwhile, which would look as if it had gone
    await _compose(lab, {"IMAGE": image, "SERVER": url, "TOKEN": server.token if server else ""})
    location = files("watchkeeper_lab.support_bot").joinpath("assets", "nginx.conf").read_text()
    await _until_ready(lab, own=True)
    await lab.services.write_file("nginx", LOCATION, location)
    await _reload(lab)
    await _until_ready(lab)
    return f"{lab.shop_url}/bot/"


async def stop(lab: Lab) -> None:
    """Remove it, and its place in nginx. Idempotent."""
    await _unplace(lab)
    if NAME in await lab.services.states():
        await lab.services.remove(NAME)
    await lab.beside.end()


async def there(lab: Lab) -> bool:
    """Whether it is up."""
    found = (await lab.services.states()).get(NAME)
    return found is not None and found.running


async def _compose(lab: Lab, values: dict[str, str]) -> None:
    folder = lab.instance.folder
    recipe = files("watchkeeper_lab.support_bot").joinpath("assets", "compose.yaml")
    (folder / "support-bot.yaml").write_text(recipe.read_text())
    kept = folder / ".env"  # readable by this user alone
    lines = [line for line in kept.read_text().splitlines() if not line.startswith("SUPPORT_BOT_")]
    lines += [f"SUPPORT_BOT_{name}={value}" for name, value in values.items()]
    kept.write_text("".join(f"{line}\n" for line in lines))
    command = [*await ensure_compose(), "-p", lab.compose_project, "-f", "compose.yaml", "-f", "support-bot.yaml"]
    await run([*command, "up", "-d", "--no-build", "--no-deps", NAME], timeout=180.0, cwd=folder)


async def _way(lab: Lab, server: Server) -> str:
    """How the server is reached from a container: as it is, or by a relay where it listens on loopback only."""
    parts = urlsplit(server.url)
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise BadInputError(f"`{server.url}` is not the address of a Watchkeeper.", "Write http://HOST:PORT.") from None
    if parts.hostname not in LOOPBACK:
        return server.url
    if parts.scheme != "http":
        raise BadInputError(
            f"`{server.url}` is on loopback, and the bot's container reaches that over plain HTTP only.",
            "Name it by the address under which other machines reach it.",
        )
    gateway = await _gateway(lab)
    await lab.beside.end()
    await lab.beside.start(RELAY, "watchkeeper_lab.support_bot.relay", gateway, parts.hostname, str(port))
    return f"http://{gateway}:{lab.beside.said(RELAY)[0]}"


async def _gateway(lab: Lab) -> str:
    """This machine's own address in the lab's network."""
    out = await run(["docker", "inspect", lab.redis_container], timeout=20.0)
    found: dict[str, Any] = json.loads(out)[0]["NetworkSettings"]["Networks"]
    addresses = [str(one["Gateway"]) for one in found.values() if one.get("Gateway")]
    if not addresses:
        raise LabError("The lab's network has no gateway by which its containers reach this machine.")
    return addresses[0]


async def _unplace(lab: Lab) -> None:
    """Out of nginx, where it is in it."""
    if NAME in await lab.services.states():
        await lab.services.execute("nginx", "rm", "-f", LOCATION)
        await _reload(lab)


async def _reload(lab: Lab) -> None:
    """With the new configuration for every request that comes from now on: until the old worker takes none any more."""
    old = await _workers(lab)
    done = await nginx(lab.services, "-s", "reload")
    if not done.ok:
        raise LabError(f"nginx would not reload: {done.err.strip()[-160:]}", "Try `watchkeeper lab reset`.")
    deadline = time.monotonic() + READY_SECONDS
    while (now := await _workers(lab)) & old or not now:
        if time.monotonic() > deadline:
            raise LabError(
                "nginx took the new configuration, and its old worker goes on.", "Try `watchkeeper lab reset`."
            )
        await asyncio.sleep(0.1)


async def _workers(lab: Lab) -> set[str]:
    """The worker processes that take requests, as nginx' container sees them."""
    return set((await lab.services.execute("nginx", "sh", "-c", WORKERS)).out.split())


async def _until_ready(lab: Lab, *, own: bool = False) -> None:
    """Until it answers through nginx; with `own` on a port of its own."""
    deadline = time.monotonic() + READY_SECONDS
    said = "no answer"
    async with loopback(timeout=2.0) as client:
        while time.monotonic() < deadline:
            state = (await lab.services.states()).get(NAME, ServiceState("", "gone"))
            if state.status in ("exited", "gone", "dead"):
                log = (await lab.services.log(NAME, 0)).strip().splitlines() if state.where else []
                said = f"it is {state.status}: {log[-1] if log else 'it said nothing'}"
                break
            try:
                front = f"http://127.0.0.1:{state.port}" if own else lab.shop_url
                answer = await client.get(f"{front}/bot/ready")
                if answer.status_code == 200:
                    return
                said = f"status {answer.status_code}"
            except httpx.HTTPError as error:
                said = type(error).__name__
            await asyncio.sleep(0.1)
    raise LabError(f"The support-bot did not come up: {said}.", "`docker logs` of its container may tell more.")
