"""How everything was set up when the lab came up: each part keeps what it needs to bring that back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Kept = dict[str, Any]
"""What one part keeps; JSON."""


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
