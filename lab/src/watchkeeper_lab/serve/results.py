"""The results of benchmarks that lie in a folder."""

import json
from pathlib import Path
from typing import Any, cast


def listed(*folders: Path) -> list[dict[str, Any]]:
    """Each with its summary, by name. What is no result of a benchmark is passed over."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    return [told for path in paths if (told := _read(path)) is not None]


def found(name: str, *folders: Path) -> dict[str, Any] | None:
    """One, with each of its scenarios."""
    paths = (path for folder in folders for path in folder.glob("*.json"))
    path = next((path for path in paths if path.stem == name), None)
    told = _read(path) if path is not None else None
    return told if path is None or told is None else told | {"scenarios": _content(path).get("scenarios", [])}


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _read(path: Path) -> dict[str, Any] | None:
    content = _content(path)
    if not isinstance(content.get("summary"), dict) or "scenarios" not in content:
        return None
    kept = ("summary", "suite", "complete", "ground", "seed", "versions", "machine", "began", "ended")
    return {"name": path.stem} | {name: content.get(name) for name in kept}
