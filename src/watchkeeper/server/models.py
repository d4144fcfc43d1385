"""`/api/models`: what monitors in model servers push, and what it says."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, StringConstraints

from watchkeeper.domain import now
from watchkeeper.predictions import Model, Named, Predictions, PushBody, Refused, Sender, Summary, Summed
from watchkeeper.predictions import Version as VersionName
from watchkeeper.predictions.predictions import Version
from watchkeeper.server.pages import html
from watchkeeper.server.security import Here, Pusher, Viewer
from watchkeeper.server.shaped import shaped
from watchkeeper.server.views import Moment, Page, View

router = APIRouter(prefix="/api/models", tags=["models"])
Name = Annotated[Named, Path(description="the model's name, as its monitor says it")]
Process = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")],
    Header(alias="Watchkeeper-Process", description="32 hex digits, one for each process that pushes"),
]
Sequence = Annotated[
    int, Header(alias="Watchkeeper-Sequence", ge=1, le=2**53, description="1, 2, 3 … within a process")
]
SentAt = Annotated[
    float | None,
    Header(alias="Watchkeeper-Sent-At", ge=0, le=1e11, description="the sender's clock, in seconds since 1970"),
]
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
USUAL = timedelta(days=7)
Segment = Annotated[str, StringConstraints(min_length=1, max_length=120)]


class TakenView(BaseModel):
    """What became of a push. `taken` is false where it had come before and was not counted again."""

    taken: bool
    skew_seconds: float
    """How far the sender's clock is ahead of ours."""


class SenderView(View):
    """A process that pushes."""

    id: str
    host: str
    pid: int
    version: str
    alive: bool
    """Whether it was heard of within three of its turns, or 90 s."""
    began_at: datetime
    seen_at: datetime
    predictions: int
    predictions_per_second: float
    memory_bytes: int
    dropped: int
    """Predictions it could not count, for more came than it could."""
    lost: int
    """Predictions in pushes that it had to let go while no server answered."""
    refused: int
    missed: int
    """Pushes that never came here, by their numbers."""
    skew_seconds: float


class VersionView(BaseModel):
    version: str
    first_at: datetime
    seen_at: datetime
    replicas: int
    """Processes that are there now."""
    predictions: int


class ModelView(BaseModel):
    name: str
    seen_at: datetime
    replicas: int
    predictions: int
    versions: list[VersionView]
    """Last seen first."""


class HoldsView(View):
    """Records and labels on disk."""

    bytes: int
    files: int
    first_day: str
    last_day: str


class ModelDetail(ModelView):
    processes: list[SenderView]
    """Last seen first, at most 200."""
    holds: HoldsView | None
    """None where no records or labels are kept."""
    refused: int
    """Pushes of records or labels, of all models, that found no room on disk since the server started."""
    forgotten_bytes: int
    """Records and labels of all models that were let go since then, for there was too much."""


class LabelsView(View):
    """Labels that came to the server, and what became of them."""

    records: int
    """Predictions in this time of which a record is kept."""
    labelled: int
    """Those of them whose label came."""
    waiting: int
    """Labels for predictions of which no record is kept (yet)."""
    repeated: int
    conflicting: int
    """Labels that contradicted an earlier one: the latest counts."""
    truncated: bool
    """Whether there were too many records to look at all of them."""


class Over(BaseModel):
    """What a summary is over."""

    since: datetime
    """Where the first piece of time begins that is counted; it may lie before what was asked for."""
    until: datetime
    replicas: int
    lost: int = Field(description="predictions that its processes had to let go, as far as they could tell")
    missed: int = Field(description="pushes that never came here, by their numbers")
    labels_from: Literal["profiles", "records"] = Field(
        description="where accuracy comes from: labels that came to the process that predicted, or those joined with "
        "records here; whichever are more, never both added up"
    )
    labels: LabelsView | None = Field(description="null where no records are kept")


class _Over(BaseModel):
    over: Over


SummaryView = shaped(Summary, "SummaryView", _Over)


@router.get("")
async def list_models(runtime: Here, _: Viewer) -> Page[ModelView]:
    """Models that something was heard of, last seen first."""
    return Page(items=[ModelView(**_model(model)) for model in await _predictions(runtime).models()])


@router.get("/{name}")
async def show_model(name: Name, runtime: Here, _: Viewer) -> ModelDetail:
    """One model: its versions, and the processes that serve it."""
    model, at = await _predictions(runtime).model(name), now()
    records = _predictions(runtime).records
    holds = await records.holds(name)
    return ModelDetail(
        **_model(model),
        processes=[_process(sender, at) for sender in model.senders[:200]],
        holds=None if holds is None else HoldsView.model_validate(holds),
        refused=records.shelf.refused,
        forgotten_bytes=records.shelf.forgotten,
    )


@router.get("/{name}/summary", response_model=SummaryView)
async def summarize_model(
    name: Name,
    runtime: Here,
    _: Viewer,
    version: Annotated[VersionName | None, Query(description="one version; else all together")] = None,
    since: Annotated[Moment | None, Query(description="else seven days ago")] = None,
    segment: Annotated[Segment | None, Query(description="one segment, counted from its records")] = None,
) -> Any:
    """The figures of all its replicas together, in the shape of `Monitor.summary()`; what is not known is null."""
    summed = await _predictions(runtime).summary(name, version, since_of(since), segment)
    return summed.summary.to_dict() | {"over": _over(summed)}


@router.get("/{name}/report", response_class=HTMLResponse)
async def report_model(
    name: Name,
    runtime: Here,
    _: Viewer,
    version: Annotated[VersionName | None, Query(description="one version; else all together")] = None,
    since: Annotated[Moment | None, Query(description="else seven days ago")] = None,
) -> HTMLResponse:
    """The summary as one HTML file; what came in the last day drawn over the reference, column by column."""
    return html(await _predictions(runtime).report(name, version, since_of(since)))


@router.post("/{name}/profiles")
async def push_profile(
    name: Name, body: PushBody, runtime: Here, _: Pusher, process: Process, sequence: Sequence, sent_at: SentAt = None
) -> TakenView:
    """Count what one process counted since its last push: once, however often the push comes."""
    if body.profile.model != name:
        raise Refused(f"The profile is of {body.profile.model!r}, not of {name!r}.")
    skew = 0.0 if sent_at is None else round(sent_at - time.time(), 3)
    taken = await _predictions(runtime).take(name, process, sequence, skew, body)
    return TakenView(taken=taken.taken, skew_seconds=skew)


def _predictions(runtime: Here) -> Predictions:
    return runtime.predictions


def since_of(said: datetime | None) -> datetime:
    return now() - USUAL if said is None else max(said, EARLIEST)


def _over(summed: Summed) -> dict[str, Any]:
    return {
        "since": summed.since,
        "until": summed.until,
        "replicas": sum(sender.serves(summed.until) for sender in summed.senders),
        "lost": sum(sender.lost_rows for sender in summed.senders),
        "missed": sum(sender.missed for sender in summed.senders),
        "labels_from": summed.labels_from,
        "labels": summed.labels,
    }


def _model(model: Model) -> dict[str, Any]:
    at = now()
    return {
        "name": model.name,
        "seen_at": model.seen_at,
        "replicas": sum(sender.serves(at) for sender in model.senders),
        "predictions": sum(version.predictions for version in model.versions),
        "versions": [_version(version, at) for version in model.versions],
    }


def _version(version: Version, at: datetime) -> VersionView:
    return VersionView(
        version=version.name,
        first_at=version.first_at,
        seen_at=version.seen_at,
        replicas=sum(sender.serves(at) for sender in version.senders),
        predictions=version.predictions,
    )


def _process(sender: Sender, at: datetime) -> SenderView:
    same = ("id", "host", "pid", "version", "began_at", "seen_at", "predictions", "predictions_per_second")
    same += ("memory_bytes", "dropped", "refused", "missed", "skew_seconds")
    return SenderView(alive=sender.alive(at), lost=sender.lost_rows, **{name: getattr(sender, name) for name in same})
