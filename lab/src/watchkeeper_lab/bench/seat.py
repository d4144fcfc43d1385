"""The planner's seat for whoever connects over MCP: the same address and the same token through all runs."""

import asyncio
import contextlib
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.loopback import free_port, loopback

PLANNER = "mcp"
"""What `--planner` is called then."""
COME_SECONDS = 600.0
"""How long the agent may take to call something for the first time, and anew after each start."""
PLAN_SECONDS = 300.0
"""How long each incident waits for its plan."""
ROOM_SECONDS = 60.0
_CALLS = re.compile(r"^watchkeeper_agent_calls_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where the agent connects."""

    folder: Path
    port: int

    @classmethod
    def below(cls, folder: Path) -> "Seat":
        """With a port that is free now."""
        return cls(folder, free_port())

    @property
    def deadline(self) -> float:
        """Seconds that a fault may take: its planner is given its time."""
        return PLAN_SECONDS + ROOM_SECONDS

    def configured(self, config: str) -> str:
        """The `watchkeeper.yaml` of a run: nobody else plans."""
        seat = f"planner: agents\nmcp: {{writes: true, wait: {PLAN_SECONDS:.0f}s, then: person}}\n"
        return f"{config.rstrip()}\n{seat}".lstrip()

    def clear(self) -> None:
        """Forget what was before; the token stays."""
        for path in (self.folder / "data").glob("*"):
            if path.name == "token":
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def told(self) -> str:
        """What its agent has to be told."""
        data = self.folder / "data"
        return (
            f"Connect the agent: over stdio `watchkeeper mcp --data {data}`, or over HTTP to "
            f"http://127.0.0.1:{self.port}/mcp with the token in {data / 'token'}. "
            "Tell it to wait with list_incidents(wait_seconds=300), to hand in a plan for each incident with "
            "submit_plan, and to begin anew."
        )

    async def until_taken(self, base_url: str) -> None:
        """Return once somebody has called a tool; raises `LabError` where nobody does in time."""
        deadline = time.monotonic() + COME_SECONDS
        async with loopback(base_url, timeout=5.0) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    if any(float(count) > 0 for count in _CALLS.findall((await client.get("/metrics")).text)):
                        return
                await asyncio.sleep(0.2)  # the rate of asking: figures tell nobody
        raise LabError(f"No agent called anything within {COME_SECONDS:.0f} s.", self.told)
