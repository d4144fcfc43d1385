"""Labels joined with the records they are of, whenever and in whatever order they came. All of this blocks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper.predictions.arrow import Table, part
from watchkeeper.predictions.figures import LATEST, WEEK
from watchkeeper.predictions.tables import ranked
from watchkeeper_monitor import Profile
from watchkeeper_monitor.counts import bounded
from watchkeeper_monitor.figures import ClassFigures, Share, class_figures, share
from watchkeeper_monitor.onset import ROWS, WINDOWS, Change, Streams
from watchkeeper_monitor.ranking import MEASURES, NDCG, Rankings, of_all, relevance
from watchkeeper_monitor.ranking import read as relevant
from watchkeeper_monitor.truth import CALIBRATION_BINS, Truth

AT_ONCE = 10_000
"""Rankings judged at once: eight megabytes."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What labels there are, and what became of them."""

    records: int
    """Predictions of which a record is there."""
    labelled: int
    """Those of them whose truth is known."""
    waiting: int
    """Labels for predictions of which no record is there (yet)."""
    repeated: int
    """Labels that said the same again."""
    conflicting: int
    """Labels that contradicted an earlier one; the latest counts."""
    truncated: bool = False
    """Whether there were too many records to look at all of them."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Each record once, with its label where there is one."""

    table: Table
    """The columns of records, `label` and `labelled_at`; oldest first."""
    labels: Labels


@dataclass(slots=True)
class Judged:
    """What the labels say."""

    truth: Truth = field(default_factory=Truth)
    latest: Share = field(default_factory=lambda: share(0, 0))
    week: Share = field(default_factory=lambda: share(0, 0))
    classes: list[ClassFigures] = field(default_factory=list[ClassFigures])
    rankings: Rankings = field(default_factory=Rankings)
    latest_rankings: dict[str, Share] = field(default_factory=dict[str, Share])
    ndcg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Of each ranking that was judged, NDCG@10, oldest first; `ndcg_at` beside it."""
    ndcg_at: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """When it was made, in seconds since 1970."""


def latest_labels(labels: Table) -> tuple[Table, int, int]:
    """One label for each id: the latest by its own time; how many were repeated, and how many in conflict.

    It does not depend on the order they came in: of two of the same time the one that sorts last counts.
    """
    pc = part("compute")
    labels = labels.combine_chunks().sort_by([("id", "ascending"), ("at", "ascending"), ("label", "ascending")])
    if labels.num_rows < 2:
        return labels, 0, 0
    ids, said = labels["id"].combine_chunks(), labels["label"].combine_chunks()
    same = pc.equal(ids.slice(1), ids.slice(0, len(ids) - 1))
    agrees = pc.equal(said.slice(1), said.slice(0, len(said) - 1))
    repeated = pc.sum(pc.cast(pc.and_(same, agrees), "int64")).as_py() or 0
    conflicting = pc.sum(pc.cast(pc.and_not(same, agrees), "int64")).as_py() or 0
    last = np.append(~same.to_numpy(zero_copy_only=False), True)
    return labels.filter(part("").array(last)), repeated, conflicting


def joined(records: Table, labels: Table, every: Table, *, truncated: bool = False) -> Joined:
    """`records` with all columns that are wanted, `id` and `at` among them; `every`: the ids of all that are kept."""
    pa, pc = part(""), part("compute")
    found, repeated, conflicting = latest_labels(labels)
    records = records.combine_chunks().sort_by([("at", "ascending"), ("id", "ascending")])
    ids = records["id"].combine_chunks()
    if pc.count_distinct(ids).as_py() < len(ids):  # a push that came twice around a crash, or an id used again
        _, first = np.unique(ids.to_numpy(zero_copy_only=False).astype(str), return_index=True)
        records = records.take(pa.array(np.sort(first)))
        ids = records["id"].combine_chunks()
    places = pc.index_in(ids, value_set=found["id"].combine_chunks())
    table = records.append_column("label", found["label"].combine_chunks().take(places))
    table = table.append_column("labelled_at", found["at"].combine_chunks().take(places))
    labelled = len(ids) - places.null_count
    waiting = pc.index_in(found["id"].combine_chunks(), value_set=every["id"].combine_chunks()).null_count
    return Joined(table, Labels(records.num_rows, labelled, waiting, repeated, conflicting, truncated))


def judged(table: Table, now: datetime) -> Judged:
    """Accuracy and all else that labels tell, of joined records (oldest first)."""
    pc = part("compute")
    made = Judged()
    known = table.filter(pc.is_valid(table["label"]))
    numbers = known.filter(pc.is_valid(known["value"]))
    for true, value in zip(numbers["label"].to_pylist(), numbers["value"].to_pylist(), strict=True):
        try:
            made.truth.measured(float(true), value)
        except ValueError:
            made.truth.unknown += 1
    _rank(made, table)
    classes = known.filter(pc.is_valid(known["prediction"]))
    if not classes.num_rows:
        return made
    _count(made.truth, classes)
    right = pc.equal(classes["label"], classes["prediction"]).to_numpy(zero_copy_only=False)
    pairs = classes.slice(max(0, classes.num_rows - LATEST))
    made.latest = share(int(right[-LATEST:].sum()), pairs.num_rows)
    made.classes = class_figures(
        zip(map(bounded, pairs["label"].to_pylist()), map(bounded, pairs["prediction"].to_pylist()), strict=True)
    )
    lately = pc.greater(classes["at"], part("").scalar(now - WEEK)).to_numpy(zero_copy_only=False)
    made.week = share(int(right[lately].sum()), int(lately.sum()))
    return made


def _rank(made: Judged, table: Table) -> None:
    """Rankings, and their labels."""
    pc = part("compute")
    rankings = table.filter(pc.is_valid(table["ranking"]))
    labelled: list[tuple[tuple[str, ...], Mapping[str, float]]] = []
    at: list[float] = []
    seconds = _seconds(rankings)
    for said, label, when in zip(rankings["ranking"].to_pylist(), rankings["label"].to_pylist(), seconds, strict=True):
        shown = ranked(said) or ()
        made.rankings.shown(shown)
        if label is None:
            continue
        try:
            gains = relevance(relevant(label))
        except ValueError:
            made.truth.unknown += 1
            continue
        labelled.append((shown, gains))
        if any(gain > 0 for gain in gains.values()):
            at.append(float(when))
    parts = [made.rankings.judge(labelled[start : start + AT_ONCE]) for start in range(0, len(labelled), AT_ONCE)]
    if parts:
        scores = np.concatenate(parts)
        made.latest_rankings = of_all(scores[-LATEST:]).means()
        made.ndcg, made.ndcg_at = scores[:, MEASURES.index(NDCG)], np.array(at)


def _seconds(table: Table) -> NDArray[np.float64]:
    return part("compute").cast(table["at"], "int64").to_numpy() / 1e6  # kept in microseconds


def changes(table: Table, judged: Judged) -> list[Change]:
    """What accuracy and NDCG did last, by when the predictions were made and not by when their labels came."""
    pc = part("compute")
    classes = table.filter(pc.and_(pc.is_valid(table["label"]), pc.is_valid(table["prediction"])))
    right = pc.equal(classes["label"], classes["prediction"]).to_numpy(zero_copy_only=False)

    def correct(piece: Profile, of: NDArray[Any]) -> None:
        piece.truth.labelled, piece.truth.correct = of.size, int(of.sum())

    def ranked(piece: Profile, of: NDArray[Any]) -> None:
        piece.rankings.ndcg.record_all(of)

    return [*_onset(right, _seconds(classes), correct), *_onset(judged.ndcg, judged.ndcg_at, ranked)]


def _onset(
    values: NDArray[Any], at: NDArray[np.float64], into: Callable[[Profile, NDArray[Any]], None]
) -> list[Change]:
    rows = max(ROWS, -(-values.size // WINDOWS))
    streams = Streams()
    for start in range(0, values.size - rows + 1, rows):
        piece = Profile("", "")
        piece.began, piece.ended, piece.predictions = float(at[start]), float(at[start + rows - 1]), rows
        into(piece, values[start : start + rows])
        streams.take(piece)
    return [each for each in streams.changes() if each.stream in ("accuracy", NDCG)]


def _count(truth: Truth, classes: Table) -> None:
    """The same as `Truth.judged` for each row, at once for each pair of names."""
    columns = classes.select(["label", "prediction"]).append_column(
        "confidence", part("compute").fill_null(classes["confidence"], float("nan"))
    )
    for cell in columns.group_by(["label", "prediction"]).aggregate([([], "count_all")]).to_pylist():
        true, said, times = bounded(cell["label"]), bounded(cell["prediction"]), cell["count_all"]
        truth.labelled += times
        truth.true.add(true, times)
        truth.predicted.add(said, times)
        truth.confusion.add(f"{true}\x1f{said}", times)
        if true == said:
            truth.correct += times
            truth.hits.add(true, times)
    confidence = columns["confidence"].to_numpy()
    right = part("compute").equal(columns["label"], columns["prediction"]).to_numpy(zero_copy_only=False)
    there = ~np.isnan(confidence)
    confidence, right = confidence[there], right[there]
    truth.confident += int(confidence.size)
    truth.squared_confidence_error += float(((confidence - right) ** 2).sum())
    tenths = np.minimum(CALIBRATION_BINS - 1, (confidence * CALIBRATION_BINS).astype(np.int64))
    for place, tenth in enumerate(truth.calibration):
        here = tenths == place
        tenth[0] += int(here.sum())
        tenth[1] += int(right[here].sum())
        tenth[2] += float(confidence[here].sum())


def profiled(model: str, version: str, table: Table, judged: Judged) -> Profile:
    """Joined records as a profile, as the monitor counts."""
    pc = part("compute")
    profile = Profile(model, version)

    def column(name: str) -> Any:
        values = pc.cast(table[name], "float64").to_numpy(zero_copy_only=False)
        return None if not values.size or np.isnan(values).all() else values

    names: Mapping[str, str] = {
        "confidence": "confidence",
        "latency": "latency_seconds",
        "input_length": "input_length",
    }
    for each in table["prediction"].value_counts().to_pylist():
        if each["values"] is not None:
            profile.classes.add(each["values"], each["counts"])
    profile.predictions = table.num_rows
    for part_name, name in names.items():
        if (values := column(name)) is not None:
            getattr(profile, part_name).record_all(values[~np.isnan(values)])
    if (values := column("value")) is not None:
        profile.outputs.record_all(values[~np.isnan(values)])
        profile.numeric = int((~np.isnan(values)).sum())
    if (values := column("cost")) is not None:
        profile.cost.record_all(values[~np.isnan(values)])
    escalated = table["escalated"]
    profile.escalation_known = len(escalated) - escalated.null_count
    profile.escalated = pc.sum(pc.cast(escalated, "int64")).as_py() or 0
    _segments(profile, table)
    profile.truth, profile.rankings = judged.truth, judged.rankings
    return profile


def _segments(profile: Profile, table: Table) -> None:
    pc = part("compute")
    right = pc.fill_null(pc.equal(table["label"], table["prediction"]), False)
    known = pc.and_(pc.is_valid(table["label"]), pc.is_valid(table["prediction"]))
    counted = table.select(["segment"]).append_column("known", known).append_column("right", pc.and_(known, right))
    groups = counted.group_by(["segment"]).aggregate([([], "count_all"), ("known", "sum"), ("right", "sum")])
    for each in groups.to_pylist():
        if (name := each["segment"]) is None:
            continue
        profile.segments.add(name, each["count_all"])
        if each["known_sum"]:
            profile.segments_labelled.add(name, each["known_sum"])
        if each["right_sum"]:
            profile.segments_correct.add(name, each["right_sum"])
