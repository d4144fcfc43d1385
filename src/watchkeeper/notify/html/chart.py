"""Charts as SVG in the page: where each thing stands. The templates draw it.

Drawn by ourselves because what is wanted is more a time line than a plot, and the kept libraries that give SVG do not
give it: pygal 3.1 asks a script from another host for its tooltips and knows no marks in time; leather 0.4 fixes its
colours and knows neither marks nor bands; matplotlib and altair (a browser engine or 30 MB) are out of proportion. Here
colours come from the page's style sheet (light, dark, paper), every chart is drawn twice (for a wide page and for a
telephone, so that its letters stay readable on both), and what is not known is shown as not known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper.domain.figures import figure, unit
from watchkeeper.notify.html.gaps import gaps
from watchkeeper.notify.html.scale import moments, ticks

ROW = 18.0
"""Height of a row of numbered marks, in units of the drawing."""
APART = 19.0
"""Marks nearer than that to each other stand in different rows."""
ROWS = 4
OVERFULL = 1.1
"""Up to so much a share of something is drawn as all of it: counters that lag behind each other give 1.001."""
DOTTED = 80
"""Up to so many points each is shown as a dot, too."""

Point = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A numbered moment; `kind` is its style: `alert`, `fix`, `good`, `bad`, `unsure`, `plain`."""

    number: int
    at: datetime
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Band:
    """A time that is shaded: `alert`, `fix`."""

    begin: datetime
    end: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across: what a rule or the proof looks at; `kind` is `alert` or `well`."""

    value: float
    text: str
    kind: str = "alert"


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of one resource over time; a point without a value is a look that gave none."""

    metric: str
    begin: datetime
    end: datetime
    points: Sequence[Point]
    limits: Sequence[Limit] = ()
    marks: Sequence[Mark] = ()
    bands: Sequence[Band] = ()

    @property
    def known(self) -> list[tuple[datetime, float]]:
        return [(at, value) for at, value in self.points if value is not None]

    @property
    def flag(self) -> bool:
        """Whether it is only ever 0 or 1: true or false, and nothing between."""
        return not unit(self.metric) and all(value in (0.0, 1.0) for _, value in self.known)


@dataclass(frozen=True, slots=True)
class Placed:
    """Something at a place; `y` and `width` where they matter."""

    x: float
    y: float = 0.0
    width: float = 0.0
    text: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart of a fixed size; all in units of its view box."""

    size: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    paths: tuple[str, ...]
    dots: tuple[Placed, ...]
    x_ticks: tuple[Placed, ...]
    y_ticks: tuple[Placed, ...]
    limits: tuple[Placed, ...]
    bands: tuple[Placed, ...]
    blind: tuple[Placed, ...]
    marks: tuple[Placed, ...]


def draw(curve: Curve, size: str) -> Drawing:
    """`size`: `wide` (720) or `narrow` (360)."""
    width, left, right = (720.0, 62.0, 708.0) if size == "wide" else (360.0, 54.0, 352.0)
    span = max((curve.end - curve.begin).total_seconds(), 1e-3)

    def x(at: datetime) -> float:
        share = (at - curve.begin).total_seconds() / span
        return round(left + (right - left) * min(max(share, 0.0), 1.0), 1)

    marks, rows = _rows(curve.marks, x)
    top = 8.0 + ROW * rows
    bottom = top + (190.0 if size == "wide" else 170.0)
    limits = () if curve.flag else curve.limits
    values = [value for _, value in curve.known] + [limit.value for limit in limits]
    high = max(values, default=1.0)
    if unit(curve.metric) == "ratio" and 1.0 < high < OVERFULL:
        high = 1.0
    scale = [0.0, 1.0] if curve.flag else ticks(high, unit(curve.metric), min(0.0, *values, 0.0))

    def y(value: float) -> float:
        share = (min(value, scale[-1]) - scale[0]) / (scale[-1] - scale[0])
        return round(bottom - (bottom - top - 6) * share, 1)

    def written(value: float) -> str:
        return ("no", "yes")[int(value)] if curve.flag else figure(value, unit(curve.metric))

    points = _parted(curve.points)
    runs = _runs(points)
    few = len(curve.points) <= DOTTED
    return Drawing(
        size,
        width,
        bottom + 26.0,
        left,
        right,
        top,
        bottom,
        paths=tuple(_path([(x(at), y(value)) for at, value in run], step=curve.flag) for run in runs if len(run) > 1),
        dots=tuple(Placed(x(at), y(v)) for run in runs if few or len(run) == 1 for at, v in run),
        x_ticks=tuple(Placed(x(at), text=t) for at, t in moments(curve.begin, curve.end, 6 if size == "wide" else 3)),
        y_ticks=tuple(Placed(left, y(value), text=written(value)) for value in scale),
        limits=tuple(Placed(left, y(limit.value), text=limit.text, kind=limit.kind) for limit in limits),
        bands=tuple(Placed(x(b.begin), width=max(2.0, x(b.end) - x(b.begin)), kind=b.kind) for b in curve.bands),
        blind=tuple(Placed(x(a), width=max(2.0, x(b) - x(a))) for a, b in _blind(points)),
        marks=marks,
    )


def _rows(marks: Sequence[Mark], x: Callable[[datetime], float]) -> tuple[tuple[Placed, ...], int]:
    """Marks in so many rows that their numbers do not cover each other."""
    ends: list[float] = []
    placed: list[Placed] = []
    for mark in sorted(marks, key=lambda known: known.at):
        at = x(mark.at)
        row = next((number for number, end in enumerate(ends) if at - end >= APART), len(ends))
        row = min(row, ROWS - 1)
        ends[row : row + 1] = [at]
        placed.append(Placed(at, 9.0 + ROW * row, text=str(mark.number), kind=mark.kind))
    return tuple(placed), len(ends)


def _parted(points: Sequence[Point]) -> list[Point]:
    """The same with a look that gave none wherever nobody looked."""
    parted = list(points)
    for number in reversed(gaps([at for at, _ in points])):
        before, after = points[number - 1][0], points[number][0]
        parted.insert(number, (before + (after - before) / 2, None))
    return parted


def _runs(points: Sequence[Point]) -> list[list[tuple[datetime, float]]]:
    """What was seen without a break."""
    runs: list[list[tuple[datetime, float]]] = [[]]
    for at, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if run]


def _blind(points: Sequence[Point]) -> list[tuple[datetime, datetime]]:
    """The times for which looks gave no value: from the last that did to the next that did."""
    found: list[tuple[datetime, datetime]] = []
    since: datetime | None = None
    seen: datetime | None = None
    for at, value in points:
        if value is None:
            since = since or seen or at
        elif since is not None:
            found.append((since, at))
            since = None
        seen = at
    if since is not None:
        found.append((since, points[-1][0]))
    return found


def _path(points: Sequence[tuple[float, float]], *, step: bool) -> str:
    """
    >>> _path([(0, 1), (5, 2)], step=True)
    'M0 1H5V2'
    """
    (x, y), *rest = points
    drawn = [f"M{x:g} {y:g}"]
    drawn += [f"H{x:g}V{y:g}" if step else f"L{x:g} {y:g}" for x, y in rest]
    return "".join(drawn)
