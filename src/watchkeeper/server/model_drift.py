"""`/api/models/{name}/reference` and `…/drift`: how far what comes in now lies from what is usual."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict

from watchkeeper.domain import now
from watchkeeper.predictions import Drift, ReferenceBody, references, shifts
from watchkeeper.predictions import Version as VersionName
from watchkeeper.server.models import EARLIEST, Name
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.shaped import shaped
from watchkeeper.server.views import Moment

router = APIRouter(prefix="/api/models", tags=["models"])
OfVersion = Annotated[VersionName | None, Query(description="the version it is of; else the one heard of last")]


class PeriodBody(BaseModel):
    """A time in production that was good."""

    model_config = ConfigDict(extra="forbid")
    since: Moment
    until: Moment | None = None
    """Else now."""


class ReferenceView(BaseModel):
    version: str
    made_at: datetime
    made_by: str
    source: str
    """`file`, or the period of production it was taken from."""
    format: int
    numbers: dict[str, list[float]]
    """Quantiles of each numeric column."""
    categories: dict[str, dict[str, int]]
    calibration: list[tuple[float, int, int]] | None = None
    """Mean confidence, how many, how many of them right: what accuracy is estimated by."""
    by_class: dict[str, Any] | None = None
    """The same by predicted class."""


class _Compared(BaseModel):
    reference: str
    """The version whose reference it is compared with."""
    reference_made_at: datetime
    since: datetime
    until: datetime
    predictions: int
    shifted: list[str]


DriftView = shaped(Drift, "DriftView", _Compared)


@router.put("/{name}/reference")
async def put_reference(
    name: Name,
    body: Annotated[ReferenceBody | PeriodBody, Body()],
    runtime: Here,
    who: Operator,
    version: OfVersion = None,
) -> ReferenceView:
    """Say what drift is measured against: a file that `Reference.save` wrote, or a period of production."""
    predictions = runtime.predictions
    of = await predictions.version(name, version)
    if isinstance(body, PeriodBody):
        until = now() if body.until is None else body.until
        profile, began, ended = await predictions.profile(name, of, max(body.since, EARLIEST), until)
        content = await asyncio.to_thread(references.of_period, profile)
        source = f"{began.isoformat()} to {ended.isoformat()}"
    else:
        content, source = body.model_dump(), "file"
    kept = references.Kept(of, now(), who.name, source, content)
    await asyncio.to_thread(references.put, predictions.records.shelf, name, kept)
    return _view(kept)


@router.get("/{name}/reference")
async def show_reference(name: Name, runtime: Here, _: Viewer, version: OfVersion = None) -> ReferenceView:
    """The reference of a version; where it has none, the one that was made last."""
    of = await runtime.predictions.version(name, version)
    return _view(await asyncio.to_thread(references.get, runtime.predictions.records.shelf, name, of))


@router.get("/{name}/drift", response_model=DriftView)
async def show_drift(
    name: Name,
    runtime: Here,
    _: Viewer,
    version: OfVersion = None,
    since: Annotated[Moment | None, Query(description="else a day ago")] = None,
) -> Any:
    """How far the columns of a version lie from its reference, the farthest first, and since when."""
    predictions = runtime.predictions
    of = await predictions.version(name, version)
    kept = await asyncio.to_thread(references.get, predictions.records.shelf, name, of)
    asked = now() - shifts.LATELY if since is None else max(since, EARLIEST)
    profile, began, ended = await predictions.profile(name, of, asked, now())
    rows = await predictions.rows(name, of, min(asked, now() - shifts.BEFORE))
    drift = await asyncio.to_thread(shifts.drift_of, kept.content, profile, rows)
    return drift.to_dict() | {
        "reference": kept.version,
        "reference_made_at": kept.made_at,
        "since": began,
        "until": ended,
        "predictions": profile.predictions,
        "shifted": drift.shifted,
    }


def _view(kept: references.Kept) -> ReferenceView:
    return ReferenceView(
        version=kept.version,
        made_at=kept.made_at,
        made_by=kept.made_by,
        source=kept.source,
        **kept.content,
    )
