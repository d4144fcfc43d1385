"""A wheel holds the built console; without it none is made."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("src/watchkeeper/server/console/index.html")


class Console(BuildHookInterface[Any]):
    """Looks whether `scripts/console` was run. An editable install needs it not: its server says what is missing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable" and not Path(self.root, PAGE).is_file():
            raise SystemExit(
                f"The console is not built: {PAGE} is missing, and a wheel without it would serve no pages.\n"
                "Install Node.js 20.19 or newer and run scripts/console (make setup does), then build again."
            )
