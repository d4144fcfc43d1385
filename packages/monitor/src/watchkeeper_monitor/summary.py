"""All figures of a monitor as of now, as data."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin, get_type_hints

from watchkeeper_monitor.estimate import NOTHING, Estimate, estimated
from watchkeeper_monitor.figures import ClassFigures, Share, class_figures, macro_f1, share, weighted_f1
from watchkeeper_monitor.folding import Folding
from watchkeeper_monitor.log import LogFigures
from watchkeeper_monitor.onset import Change
from watchkeeper_monitor.plain import plain
from watchkeeper_monitor.profile import FEATURES, Profile
from watchkeeper_monitor.ranking import of_all
from watchkeeper_monitor.reference import ColumnDrift, Drift, Reference, dated
from watchkeeper_monitor.segments import SegmentFigures, segment_figures
from watchkeeper_monitor.truth import BETWEEN, Truth

if TYPE_CHECKING:
    from watchkeeper_monitor.monitor import Monitor

CONFUSIONS = 20
"""The most frequent confusions that a summary shows."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One tenth of confidence: what was promised and what came true."""

    low: float
    high: float
    confidence: float
    accuracy: Share


@dataclass(frozen=True, slots=True)
class Confusion:
    true: str
    predicted: str
    times: int


@dataclass(frozen=True, slots=True)
class Performance:
    """How right the model is, as far as labels tell."""

    accuracy: Share
    """Of the last labelled predictions (the monitor's `window`)."""
    accuracy_7d: Share
    """Of the labels that came in the last seven days."""
    accuracy_total: Share
    coverage: float
    """Share of all predictions whose truth is known."""
    estimate: Estimate
    """Of the accuracy of the latest predictions, also of those without a label: no measurement."""
    macro_f1: float
    weighted_f1: float
    classes: list[ClassFigures]
    """Over the last labelled predictions, as the two above."""
    confusions: list[Confusion]
    """What is taken for what, most frequent first, since the monitor began."""
    calibration: list[Calibrated]
    calibration_error: float
    """Expected calibration error: mean distance of confidence and accuracy, in tenths (Naeini et al., AAAI 2015)."""
    brier_score: float
    """Mean squared distance of confidence and outcome, of the predicted class."""
    confidence_mean: float
    segments: dict[str, Share]
    """Accuracy by segment."""
    segment_coverage: dict[str, float]
    """Share of the predictions of each segment whose truth is known."""
    rankings: dict[str, Share]
    """NDCG and hit rate at 1, 5, 10 and 20, MAP and MRR of the latest labelled rankings; empty without any."""
    rankings_total: dict[str, Share]
    """The same of all since the monitor began."""
    mean_absolute_error: float
    """Of predicted numbers, as the two below."""
    root_mean_squared_error: float
    bias: float
    labels_unknown: int
    labels_repeated: int
    labels_conflicting: int
    labels_waiting: int
    """Labels by id whose prediction has not come."""


@dataclass(frozen=True, slots=True)
class System:
    """What it costs the machine and the caller."""

    latency_p50_seconds: float
    latency_p95_seconds: float
    latency_p99_seconds: float
    latency_count: int
    predictions_per_second: float
    """Over the last minute."""
    error_rate: Share
    """Errors among predictions and errors."""
    errors: dict[str, int]
    cpu_ratio: float
    """Seconds of CPU of this process for each second since the monitor began."""
    memory_bytes: int
    """Resident memory of this process."""
    logs: list[LogFigures]
    """Each sink of this process' log."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What came in."""

    input_length_mean: float
    input_length_p50: float
    input_length_p99: float
    oov_rate: float
    """Share of words that are not in the vocabulary; NaN without one."""
    missing: dict[str, Share]
    """Features with missing values."""
    invalid: dict[str, int]
    """Features with NaN, infinity, or what is no number."""
    rejects: dict[str, int]
    """What could not be counted, by reason."""
    dropped: int
    """What was let go because more came than could be counted."""
    folded: dict[str, int]
    """Where there were too many names: how many occurrences are counted together as `other`."""
    drift: list[ColumnDrift]
    """Of the latest predictions from the reference, farthest first; empty without a reference."""
    changes: list[Change]
    """What each stream (features, prediction, confidence, latency, accuracy, errors) did last, newest first."""


@dataclass(frozen=True, slots=True)
class Business:
    escalation_rate: Share
    cost_total: float
    cost_per_prediction: float
    satisfaction_mean: float
    satisfaction_count: int
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of one version of a model, of this process, since the monitor began."""

    model: str
    version: str
    seconds: float
    """How long the monitor has been there."""
    predictions: int
    classes: dict[str, int]
    """The most frequent predicted classes."""
    performance: Performance
    system: System
    quality: Quality
    business: Business
    segments: dict[str, SegmentFigures]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what is not known is None."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Summary":
        """What `to_dict` gave, also by way of JSON; what else is in it is passed over. Raises KeyError."""
        return _revived(cls, content)

    def __str__(self) -> str:
        from watchkeeper_monitor.table import table

        return table(self)


def _revived(kind: Any, value: Any) -> Any:
    if kind is float:
        return math.nan if value is None else float(value)
    if is_dataclass(cast("object", kind)):
        hints = get_type_hints(kind)
        return kind(**{each.name: _revived(hints[each.name], value[each.name]) for each in fields(kind)})
    parts = get_args(kind)
    if value is None:
        return None
    if get_origin(kind) is list:
        return [_revived(parts[0], each) for each in value]
    if get_origin(kind) is dict:
        return {name: _revived(parts[1], each) for name, each in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Around:
    """What a summary says that a profile does not hold."""

    seconds: float
    """How long it was counted for."""
    accuracy: Share
    """Of the latest labelled predictions."""
    accuracy_7d: Share
    classes: list[ClassFigures]
    predictions_per_second: float
    cpu_ratio: float
    memory_bytes: int
    dropped: int = 0
    labels_waiting: int = 0
    logs: Sequence[LogFigures] = ()
    drift: Sequence[ColumnDrift] = ()
    changes: Sequence[Change] = ()
    estimate: Estimate = NOTHING
    rankings: Mapping[str, Share] = field(default_factory=dict[str, Share])


def summarize(monitor: "Monitor", folding: Folding) -> Summary:
    folding.settle()
    profile, window, hours = folding.profile(), list(folding.window), folding.hours.values()
    judged = profile.truth.labelled - profile.truth.residuals.count
    seconds = time.time() - monitor.began
    drift = None if monitor.reference is None else drift_of(folding, monitor.reference)
    changes = folding.streams.changes()
    around = Around(
        seconds=seconds,
        accuracy=share(sum(each.right for each in window), len(window)),
        accuracy_7d=share(sum(each.correct for each in hours), sum(each.labelled for each in hours) if judged else 0),
        classes=class_figures((each.true, each.predicted) for each in window),
        predictions_per_second=_pace(folding, monitor.began, profile.predictions),
        cpu_ratio=_over(time.process_time() - monitor.cpu_began, seconds),
        memory_bytes=memory_bytes(),
        dropped=monitor.dropped,
        labels_waiting=len(folding.waiting),
        logs=monitor.logged,
        rankings=of_all(folding.rankings).means(),
        drift=[] if drift is None else drift.columns,
        changes=changes,
        estimate=estimated(
            folding.lately(),
            None if monitor.reference is None else monitor.reference.calibration,
            profile.truth,
            [] if drift is None else drift.shifted,
            [each.stream for each in changes],
        ),
    )
    return summary_of(profile, around)


def drift_of(folding: Folding, reference: Reference) -> Drift:
    """Of the latest predictions, and since when."""
    folding.settle()
    return dated(reference.compare_profile(folding.lately()), reference, folding.streams)


def summary_of(profile: Profile, around: Around) -> Summary:
    """All figures of a profile, wherever it was merged."""
    return Summary(
        model=profile.model,
        version=profile.version,
        seconds=around.seconds,
        predictions=profile.predictions,
        classes=dict(profile.classes.top(100)),
        performance=_performance(profile, around),
        system=_system(profile, around),
        quality=_quality(profile, around),
        business=_business(profile),
        segments=segment_figures(profile),
    )


def _performance(profile: Profile, around: Around) -> Performance:
    truth = profile.truth
    bins = _calibration(truth)
    numbers = truth.residuals
    return Performance(
        accuracy=around.accuracy,
        accuracy_7d=around.accuracy_7d,
        accuracy_total=share(truth.correct, truth.labelled - numbers.count),
        coverage=_over(truth.labelled + profile.rankings.judged, profile.predictions),
        estimate=around.estimate,
        macro_f1=macro_f1(around.classes),
        weighted_f1=weighted_f1(around.classes),
        classes=around.classes,
        confusions=_confusions(truth),
        calibration=bins,
        calibration_error=_over(
            sum(abs(each.confidence - each.accuracy.value) * each.accuracy.of for each in bins), truth.confident
        ),
        brier_score=_over(truth.squared_confidence_error, truth.confident),
        confidence_mean=profile.confidence.mean,
        segments={
            name: share(profile.segments_correct.kept.get(name, 0), times)
            for name, times in profile.segments_labelled.top(100)
        },
        segment_coverage={
            name: profile.segments_labelled.kept.get(name, 0) / times for name, times in profile.segments.top(100)
        },
        rankings=dict(around.rankings),
        rankings_total=profile.rankings.means(),
        mean_absolute_error=_over(numbers.positive.total + numbers.negative.total, numbers.count),
        root_mean_squared_error=math.sqrt(truth.squared_residuals / numbers.count) if numbers.count else math.nan,
        bias=numbers.mean,
        labels_unknown=truth.unknown,
        labels_repeated=truth.repeated,
        labels_conflicting=truth.conflicting,
        labels_waiting=around.labels_waiting,
    )


def _confusions(truth: Truth) -> list[Confusion]:
    made: list[Confusion] = []
    for cell, times in sorted(truth.confusion.found().items(), key=lambda each: (-each[1], each[0])):
        true, predicted = cell.split(BETWEEN, 1)
        if true != predicted:
            made.append(Confusion(true, predicted, times))
    return made[:CONFUSIONS]


def _calibration(truth: Truth) -> list[Calibrated]:
    bins = len(truth.calibration)
    return [
        Calibrated(place / bins, (place + 1) / bins, total / times, share(int(right), int(times)))
        for place, (times, right, total) in enumerate(truth.calibration)
        if times
    ]


def _system(profile: Profile, around: Around) -> System:
    errors = profile.errors.total
    return System(
        latency_p50_seconds=profile.latency.quantile(0.5),
        latency_p95_seconds=profile.latency.quantile(0.95),
        latency_p99_seconds=profile.latency.quantile(0.99),
        latency_count=profile.latency.count,
        predictions_per_second=around.predictions_per_second,
        error_rate=share(errors, errors + profile.predictions),
        errors=profile.errors.named(100),
        cpu_ratio=around.cpu_ratio,
        memory_bytes=around.memory_bytes,
        logs=list(around.logs),
    )


def _pace(folding: Folding, began: float, predictions: int) -> float:
    """Predictions a second over the last minute, or since the beginning where that is less."""
    now = folding.clock()
    before = [each for each in folding.paces if each[0] <= now - 60]
    since, counted = before[-1] if before else (began, 0)
    return _over(predictions - counted, now - max(since, now - 60) if before else now - since)


def _quality(profile: Profile, around: Around) -> Quality:
    known = {name: each.count + each.invalid for name, each in profile.numbers.items()}
    known |= {name: each.total for name, each in profile.categories.items()}
    counts = {"classes": profile.classes, "errors": profile.errors, "segments": profile.segments}
    counts |= {f"feature {name}": each for name, each in profile.categories.items()}
    counts |= {"confusion": profile.truth.confusion, "counters": profile.counters}
    return Quality(
        input_length_mean=profile.input_length.mean,
        input_length_p50=profile.input_length.quantile(0.5),
        input_length_p99=profile.input_length.quantile(0.99),
        oov_rate=_over(profile.unknown_tokens, profile.tokens),
        missing={name: share(n, n + known.get(name, 0)) for name, n in profile.missing.top(FEATURES)},
        invalid={name: each.invalid for name, each in profile.numbers.items() if each.invalid},
        rejects=profile.rejects.named(100),
        dropped=around.dropped,
        folded={name: each.other for name, each in counts.items() if each.full},
        drift=list(around.drift),
        changes=list(around.changes),
    )


def _business(profile: Profile) -> Business:
    return Business(
        escalation_rate=share(profile.escalated, profile.escalation_known),
        cost_total=profile.cost.total,
        cost_per_prediction=profile.cost.mean,
        satisfaction_mean=profile.satisfaction.mean,
        satisfaction_count=profile.satisfaction.count,
        counters=profile.counters.named(100),
    )


def _over(number: float, of: float) -> float:
    return number / of if of else math.nan


def memory_bytes() -> int:
    """Resident memory of this process; its peak where the system has no /proc."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
