"""What drift is measured against: for each version of a model one reference, as a file beside its records."""

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from watchkeeper.domain import Conflict, NotFound
from watchkeeper.predictions.body import Count, Refused
from watchkeeper.predictions.shelf import NoRoom, Shelf
from watchkeeper_monitor import Profile, Reference
from watchkeeper_monitor.byclass import MOST, ByClass
from watchkeeper_monitor.profile import FEATURES
from watchkeeper_monitor.reference import FORMAT

MOST_REFERENCES = 100
"""Of one model."""
OWN = 5
"""Columns besides features: prediction, confidence, latency, input length, unknown words."""
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e150, le=1e150)]
"""Squares of it are numbers, too."""
Sure = Annotated[float, Field(ge=0, le=1)]
Times = Annotated[int, Field(ge=0, le=10**9)]
Column = Annotated[str, StringConstraints(max_length=250)]


class ByClassBody(BaseModel):
    """How many labels each predicted class has, how many more were right than its confidence said, that confidence."""

    model_config = ConfigDict(extra="forbid")
    rows: dict[Column, tuple[Number, Number, Number]] = Field(min_length=1, max_length=MOST)
    doubt: Number
    spread: Number


class ReferenceBody(BaseModel):
    """What `Reference.save` of watchkeeper-monitor writes: quantiles of numbers, counts of categories."""

    model_config = ConfigDict(extra="forbid")
    format: Count
    numbers: dict[Column, Annotated[list[Number], Field(min_length=1, max_length=100_000)]] = Field(
        default_factory=dict[str, list[float]]
    )
    categories: dict[Column, Annotated[dict[Column, Times], Field(min_length=1, max_length=10_000)]] = Field(
        default_factory=dict[str, dict[str, int]]
    )

    calibration: Annotated[list[tuple[Sure, Times, Times]], Field(max_length=1000)] | None = None
    """Mean confidence, how many, how many of them right: what accuracy is estimated by."""

    by_class: ByClassBody | None = None

    @model_validator(mode="after")
    def _usable(self) -> "ReferenceBody":
        if self.format > FORMAT:
            raise ValueError(f"format {self.format} is from a newer watchkeeper-monitor: upgrade the server")
        if not 1 <= len(self.numbers) + len(self.categories) <= FEATURES + OWN:
            raise ValueError(f"a reference has 1 to {FEATURES + OWN} columns")
        if self.numbers.keys() & self.categories.keys():
            raise ValueError("a column is either of numbers or of categories")
        if any(right > times for _, times, right in self.calibration or ()):
            raise ValueError("more of a point of the calibration are right than there are")
        if self.by_class is not None:
            ByClass.from_dict(self.by_class.model_dump())
        return self


@dataclass(frozen=True, slots=True)
class Kept:
    """A reference, and where it is from."""

    version: str
    made_at: datetime
    made_by: str
    source: str
    """`file`, or the period of production it was taken from."""
    content: dict[str, Any]


def put(shelf: Shelf, model: str, kept: Kept) -> None:
    """Blocks. Raises NoRoom, Conflict."""
    folder = shelf.place(model) / "references"
    path = folder / _name(kept.version)
    body = {
        "version": kept.version,
        "made_at": kept.made_at.isoformat(),
        "made_by": kept.made_by,
        "source": kept.source,
        "content": kept.content,
    }
    part = folder / f"{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists() and len(list(folder.glob("*.json"))) >= MOST_REFERENCES:
            raise Conflict(f"There are {MOST_REFERENCES} references of {model} already; no further one is taken.")
        part.write_text(json.dumps(body))
        part.replace(path)
    except OSError as problem:
        with suppress(OSError):
            part.unlink()
        raise NoRoom(f"The reference cannot be written to {folder}: {problem.strerror}.", "Make room.") from None


def get(shelf: Shelf, model: str, version: str | None) -> Kept:
    """Of this version; without one, or where it has none, the one made last. Blocks. Raises NotFound."""
    folder = shelf.place(model) / "references"
    found = [kept for path in folder.glob("*.json") if (kept := _read(path)) is not None]
    own = [kept for kept in found if kept.version == version]
    if not found:
        raise NotFound(
            f"There is no reference of {model}.", f"Make one: PUT /api/models/{model}/reference; docs/models-server.md."
        )
    return max(own or found, key=lambda kept: kept.made_at)


def _name(version: str) -> str:
    return f"{blake2b(version.encode('utf-8', 'replace'), digest_size=12).hexdigest()}.json"


def _read(path: Path) -> Kept | None:
    try:
        said = json.loads(path.read_text())
        at = datetime.fromisoformat(said["made_at"])
        return Kept(said["version"], at, said["made_by"], said["source"], said["content"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def of_period(profile: Profile) -> dict[str, Any]:
    """Blocks. Raises Refused where nothing was counted."""
    reference = Reference.from_profile(profile)
    if not any(each.values.size for each in reference.numbers.values()) and not reference.categories:
        raise Refused("Nothing was counted in this period that could be compared.", "Take a longer one.")
    return reference.to_dict()
