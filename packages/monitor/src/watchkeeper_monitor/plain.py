"""Values as JSON has them."""

import math
from typing import Any


def plain(value: Any) -> Any:
    """What is no finite number is None."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
