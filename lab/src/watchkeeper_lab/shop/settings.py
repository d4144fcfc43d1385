"""The configuration file named by SHOP_CONFIG, in TOML; without one there are defaults. What is not valid ends it."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """How long a product stays in the cache, in seconds, and how many connections to the database are kept."""

    cached_seconds: int = 600
    connections: int = 6


def read() -> Settings:
    """Raises SystemExit, which says what is wrong, for a file that is not valid."""
    path = os.environ.get("SHOP_CONFIG")
    if not path or not Path(path).exists():
        return Settings()
    try:
        found: dict[str, Any] = tomllib.loads(Path(path).read_text())
    except tomllib.TOMLDecodeError as problem:
        raise SystemExit(f"CRITICAL shop: {path} is not valid TOML: {problem}") from None
    for name, value in found.items():
        if name not in Settings.__dataclass_fields__ or not isinstance(value, int) or value < 1:
            raise SystemExit(f"CRITICAL shop: {path}: {name} = {value!r} cannot be used")
    return Settings(**found)


SETTINGS = read()
