"""`/api/models/{name}/records` and `…/labels`: single predictions and their truth."""

import math
import time
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, StringConstraints

from watchkeeper.domain import now
from watchkeeper.predictions import TakenRows, Where
from watchkeeper.predictions import Version as VersionName
from watchkeeper.server.models import Name, Segment, SentAt, since_of
from watchkeeper.server.paging import After, Key, NoCursor, cursor_of, key_of
from watchkeeper.server.security import Here, Pusher, Viewer
from watchkeeper.server.views import Moment, Page

router = APIRouter(prefix="/api/models", tags=["models"])
ProcessIfAny = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None,
    Header(alias="Watchkeeper-Process", description="as for profiles; without it, the same body again replaces itself"),
]
SequenceIfAny = Annotated[int | None, Header(alias="Watchkeeper-Sequence", ge=1, le=2**53)]
_TEXT = {"type": ["string", "null"]}
_NUMBER = {"type": ["number", "null"]}
_RECORD = {
    "id": {"type": "string"},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "version": _TEXT,
    "prediction": _TEXT,
    "value": _NUMBER,
    "ranking": {
        "type": ["array", "string", "null"],
        "items": _TEXT,
        "description": "items, best first; or that as JSON",
    },
    "confidence": _NUMBER,
    "latency_seconds": _NUMBER,
    "input_length": {"type": ["integer", "null"]},
    "segment": _TEXT,
    "escalated": {"type": ["boolean", "null"]},
    "cost": _NUMBER,
    "text": _TEXT,
    "features": _TEXT,
}
_LABEL_OF = {
    "description": "of a ranking an item, a list of items, or a mapping of items to gains",
    "anyOf": [
        {"type": "string"},
        {"type": "number"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "number"}},
    ],
}
_LABEL = {"id": {"type": "string"}, "label": _LABEL_OF, "at": {"type": ["string", "null"]}}


def _body(columns: dict[str, Any], required: list[str]) -> dict[str, Any]:
    row = {"type": "object", "properties": columns, "required": required, "additionalProperties": False}
    content = {
        "application/json": {"schema": {"type": "array", "items": row}},
        "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
    }
    return {"requestBody": {"required": True, "content": content}}


class TakenRowsView(BaseModel):
    """What became of a push: `taken` is false where it had come before. `rejected`: rows that could not be kept, by
    reason."""

    taken: bool
    rows: int
    rejected: dict[str, int]

    @classmethod
    def of(cls, taken: TakenRows) -> "TakenRowsView":
        return cls(taken=taken.taken, rows=taken.rows, rejected=dict(taken.rejected))


class RecordView(BaseModel):
    """One prediction, and its label where that has come."""

    id: str
    at: datetime
    version: str | None
    prediction: str | None
    value: float | None
    ranking: str | None
    """Its items, best first, as JSON."""
    confidence: float | None
    latency_seconds: float | None
    input_length: int | None
    segment: str | None
    escalated: bool | None
    cost: float | None
    text: str | None
    features: str | None
    """As JSON."""
    label: str | None
    labelled_at: datetime | None


@router.post("/{name}/records", openapi_extra=_body(_RECORD, ["id"]))
async def push_records(
    name: Name,
    request: Request,
    runtime: Here,
    _: Pusher,
    process: ProcessIfAny = None,
    sequence: SequenceIfAny = None,
    sent_at: SentAt = None,
) -> TakenRowsView:
    """Keep single predictions, as Arrow or as a list in JSON."""
    return await _taken(name, "records", request, runtime, process, sequence, sent_at)


@router.post("/{name}/labels", openapi_extra=_body(_LABEL, ["id", "label"]))
async def push_labels(
    name: Name,
    request: Request,
    runtime: Here,
    _: Pusher,
    process: ProcessIfAny = None,
    sequence: SequenceIfAny = None,
    sent_at: SentAt = None,
) -> TakenRowsView:
    """The truth of predictions, by their ids: before them, with them or days later; of several the latest counts."""
    return await _taken(name, "labels", request, runtime, process, sequence, sent_at)


async def _taken(
    name: str,
    kind: str,
    request: Request,
    runtime: Here,
    process: str | None,
    sequence: int | None,
    sent_at: float | None,
) -> TakenRowsView:
    form = request.headers.get("content-type", "")
    skew = 0.0 if sent_at is None else sent_at - time.time()
    taken = await runtime.predictions.records.take(name, kind, process, sequence, form, await request.body(), skew)
    return TakenRowsView.of(taken)


@router.get("/{name}/records")
async def list_records(
    name: Name,
    runtime: Here,
    _: Viewer,
    version: Annotated[VersionName | None, Query()] = None,
    segment: Annotated[Segment | None, Query()] = None,
    since: Annotated[Moment | None, Query(description="else seven days ago")] = None,
    until: Annotated[Moment | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: After = None,
) -> Page[RecordView]:
    """Single predictions with their labels, newest first."""
    present = now()
    where = Where(name, since_of(since), present if until is None else min(until, present), version, segment)
    last = None if after is None else _place(key_of(after))
    found, following = await runtime.predictions.records.page(where, limit, last)
    items = [RecordView.model_validate(row) for row in found]
    return Page(items=items, next=None if following is None else cursor_of(following))


def _place(key: Key) -> tuple[float, str]:
    match key:
        case (float() as at, str() as id) if math.isfinite(at) and 0 <= at <= 1e10:
            return at, id
        case _:
            raise NoCursor("`after` is not a cursor.", "Take the `next` of the page before, or leave it out.")
