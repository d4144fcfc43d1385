"""A push as it comes over the network: checked before any of it is merged."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from watchkeeper.domain import WatchkeeperError
from watchkeeper_monitor import Profile
from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.histogram import Histogram
from watchkeeper_monitor.profile import FEATURES, FORMAT
from watchkeeper_monitor.ranking import MEASURES
from watchkeeper_monitor.truth import BETWEEN, CALIBRATION_BINS, CELLS

PLAIN = r"^[^\x00-\x1f\x7f/]+$"
Named = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=PLAIN)]
"""A model: it must fit into a path."""
Version = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(max_length=250)]
"""Two names and what stands between them: a cell of the confusion matrix."""
Time = Annotated[float, Field(ge=0, le=1e11)]
"""Seconds since 1970."""
LOWEST, HIGHEST = -1100, 35_000
"""Buckets of a histogram: of 1e-9, and of what still is a number."""


class Refused(WatchkeeperError):
    """What was pushed will never be taken."""

    status = 422


class CountsBody(BaseModel):
    limit: Count
    kept: Annotated[dict[Name, Count], Field(max_length=CELLS)]
    other: Count
    frequent: Annotated[dict[Name, Count], Field(max_length=2 * CELLS)] = Field(default_factory=dict[str, int])
    short: Count = 0

    @model_validator(mode="after")
    def _parts(self) -> "CountsBody":
        if sum(self.frequent.values()) > self.other or self.frequent.keys() & self.kept.keys():
            raise ValueError("frequent names are some of those in other")
        return self


class HistogramBody(BaseModel):
    error: Finite
    buckets: Annotated[dict[Annotated[str, StringConstraints(max_length=6, pattern=r"^-?\d+$")], Count], Field()]
    zeros: Count
    count: Count
    total: Positive
    minimum: Positive | None
    maximum: Positive | None

    @model_validator(mode="after")
    def _adds_up(self) -> "HistogramBody":
        if self.error != Histogram().error:
            raise ValueError(f"error is {Histogram().error} here, not {self.error}")
        if self.count != self.zeros + sum(self.buckets.values()):
            raise ValueError("count is not the sum of its buckets")
        if any(not LOWEST <= int(bucket) <= HIGHEST for bucket in self.buckets):
            raise ValueError(f"buckets lie between {LOWEST} and {HIGHEST}")
        if self.count and (self.minimum is None or self.maximum is None or self.minimum > self.maximum):
            raise ValueError("minimum and maximum are missing, or the wrong way round")
        return self


class NumbersBody(BaseModel):
    positive: HistogramBody
    negative: HistogramBody
    invalid: Count


class SharesBody(BaseModel):
    bins: Annotated[dict[Annotated[str, StringConstraints(max_length=3, pattern=r"^\d+$")], Count], Field()]
    total: Positive

    @model_validator(mode="after")
    def _within(self) -> "SharesBody":
        if any(int(place) > 200 for place in self.bins):
            raise ValueError("there are 200 bins")
        return self


class TruthBody(BaseModel):
    labelled: Count
    correct: Count
    confident: Count
    unknown: Count
    repeated: Count
    conflicting: Count
    true: CountsBody
    predicted: CountsBody
    hits: CountsBody
    confusion: CountsBody
    residuals: NumbersBody
    calibration: Annotated[
        list[tuple[Count, Count, Positive]], Field(min_length=CALIBRATION_BINS, max_length=CALIBRATION_BINS)
    ]
    squared_confidence_error: Positive
    squared_residuals: Positive

    @model_validator(mode="after")
    def _consistent(self) -> "TruthBody":
        numbers = self.residuals.positive.count + self.residuals.negative.count
        if self.correct + numbers > self.labelled:
            raise ValueError("more labels are right than there are")
        if any(right > times for times, right, _ in self.calibration):
            raise ValueError("more of a tenth of confidence are right than there are")
        if any(cell.count(BETWEEN) < 1 for cell in self.confusion.kept):
            raise ValueError("a cell of confusion names a truth and a prediction")
        return self


class SegmentBody(BaseModel):
    tokens: Count
    unknown_tokens: Count
    values: Count
    missing: Count
    latency: NumbersBody
    input_length: NumbersBody
    confidence: SharesBody


Scores = Annotated[list[Positive], Field(min_length=len(MEASURES), max_length=len(MEASURES))]


class RankingsBody(BaseModel):
    predictions: Count = 0
    empty: Count = 0
    judged: Count = 0
    irrelevant: Count = 0
    sums: Scores = [0.0] * len(MEASURES)
    squares: Scores = [0.0] * len(MEASURES)
    first: CountsBody = Field(default_factory=lambda: CountsBody(**Counts().to_dict()))
    """Older monitors send neither this nor the next."""
    ndcg: SharesBody = Field(default_factory=lambda: SharesBody(bins={}, total=0.0))

    @model_validator(mode="after")
    def _consistent(self) -> "RankingsBody":
        if any(each > self.judged * (1 + 1e-9) for each in (*self.sums, *self.squares)):
            raise ValueError("a score lies above 1")
        return self


class ProfileBody(BaseModel):
    """`Profile.to_dict` of watchkeeper-monitor."""

    format: Count
    model: Name
    version: Version
    began: Time | None
    ended: Time | None
    predictions: Count
    numeric: Count
    escalated: Count
    escalation_known: Count
    tokens: Count
    unknown_tokens: Count
    classes: CountsBody
    outputs: NumbersBody
    confidence: SharesBody
    input_length: NumbersBody
    latency: NumbersBody
    cost: NumbersBody
    satisfaction: NumbersBody
    errors: CountsBody
    rejects: CountsBody
    counters: CountsBody
    missing: CountsBody
    segments: CountsBody
    segments_labelled: CountsBody
    segments_correct: CountsBody
    truth: TruthBody
    rankings: RankingsBody = Field(default_factory=RankingsBody)
    """Older monitors send none."""
    by_segment: Annotated[dict[Name, SegmentBody], Field(max_length=100)] = Field(
        default_factory=dict[str, SegmentBody]
    )
    numbers: Annotated[dict[Name, NumbersBody], Field(max_length=FEATURES)]
    categories: Annotated[dict[Name, CountsBody], Field(max_length=FEATURES)]

    @model_validator(mode="before")
    @classmethod
    def _known(cls, content: Any) -> Any:
        """Before anything else: a newer profile may look otherwise."""
        if isinstance(content, Mapping):
            content = cast("Mapping[str, Any]", content)
            said = content.get("format")
            if isinstance(said, int) and said > FORMAT:
                raise ValueError(
                    f"this profile has format {said}, from a newer watchkeeper-monitor; {FORMAT} is the newest known "
                    "here: upgrade the server"
                )
        return content

    @model_validator(mode="after")
    def _consistent(self) -> "ProfileBody":
        if (self.began is None) != (self.ended is None):
            raise ValueError("began and ended go together")
        if self.escalated > self.escalation_known or self.unknown_tokens > self.tokens:
            raise ValueError("a part is larger than the whole")
        if any(right > self.segments_labelled.kept.get(name, 0) for name, right in self.segments_correct.kept.items()):
            raise ValueError("more labels of a segment are right than there are")
        if self.by_segment.keys() - self.segments.kept.keys():
            raise ValueError("a segment has figures that was never counted")
        if wrong := _other_limits(_OURS, self):
            raise ValueError(f"{wrong} keeps another number of names than here")
        if any(counts.limit != Counts().limit for counts in self.categories.values()):
            raise ValueError("categories keep another number of names than here")
        return self


_OURS = Profile("", "").to_dict()


def _other_limits(ours: Mapping[str, Any], given: BaseModel) -> str:
    """The first part whose limit is not ours: it could not be merged. Empty where there is none."""
    for name, part in ours.items():
        if not isinstance(part, Mapping) or not hasattr(given, name):
            continue
        mine, theirs = cast("Mapping[str, Any]", part), getattr(given, name)
        if isinstance(theirs, CountsBody):
            if mine["limit"] != theirs.limit:
                return name
        elif isinstance(theirs, TruthBody | RankingsBody) and (wrong := _other_limits(mine, theirs)):
            return f"{name}.{wrong}"
    return ""


class LostBody(BaseModel):
    pushes: Count = 0
    rows: Count = 0


class PushBody(BaseModel):
    """What one process counted since its last push, and how it is itself."""

    model_config = ConfigDict(extra="ignore")
    host: Annotated[str, StringConstraints(max_length=255)] = ""
    pid: Count = 0
    began: Time
    """When the monitor began, in seconds since 1970."""
    every: Annotated[float, Field(gt=0, le=86_400)] = 5.0
    """Seconds between two pushes."""
    seconds: Positive = 0.0
    """What this push covers."""
    cpu_ratio: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    memory_bytes: Count = 0
    dropped: Count = 0
    waiting: Count = 0
    """Labels by id whose prediction has not come."""
    lost: LostBody = Field(default_factory=LostBody)
    """What the process had to let go since it began."""
    refused: Count = 0
    profile: ProfileBody

    @property
    def large(self) -> bool:
        """Whether merging takes more than a few milliseconds."""
        truth, of = self.profile.truth, self.profile
        names = [truth.confusion, truth.true, of.classes, *of.categories.values()]
        return sum(len(counts.kept) for counts in names) + 20 * len(of.numbers) > 5000

    def merged(self) -> Profile:
        """As a value of its own. Raises Refused where it does not fit to ours."""
        try:
            made = Profile(self.profile.model, self.profile.version)
            made.merge(Profile.from_dict(self.profile.model_dump()))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as problem:
            raise Refused(f"The profile cannot be merged: {problem}.") from None
        return made
