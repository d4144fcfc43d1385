"""How everything was set up when the lab came up: each part keeps what it needs to bring that back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from watchkeeper_lab.faults.site import Site

Kept = dict[str, Any]
"""What one part keeps; JSON."""


class Part(Protocol):
    """One part of the way back: a module."""

    async def keep(self, site: Site) -> Kept:
        """What it has to know later."""
        ...

    async def mend(self, site: Site, kept: Kept) -> None:
        """Before services are started."""
        ...

    async def restore(self, site: Site, kept: Kept) -> None:
        """When they run."""
        ...

    async def clear(self, site: Site) -> None:
        """After the last look at what was lost."""
        ...


@dataclass(frozen=True, slots=True)
class Baseline:
    """What each part keeps, by the part's name."""

    parts: dict[str, Kept]

    @classmethod
    def load(cls, folder: Path) -> "Baseline":
        """Read it from the lab's folder."""
        return cls(json.loads((folder / "baseline.json").read_text()))

    def save(self, folder: Path) -> None:
        """Write it into the lab's folder."""
        (folder / "baseline.json").write_text(json.dumps(self.parts, indent=2))
