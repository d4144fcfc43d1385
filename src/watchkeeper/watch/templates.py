"""What a resource's log usually says: lines clustered into templates, and which of them are new or far more frequent.

Clustered by Drain (He, Zhu, Zheng, Lyu, "Drain: an online log parsing approach with fixed depth tree", ICWS 2017). Only
the tree of drain3 is used: its `TemplateMiner` reads `drain3.ini` from the working directory where it is given no
configuration, and its persistence unpickles.
"""

import math
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drain3.drain import Drain

from watchkeeper.domain import Level
from watchkeeper.domain.spoken import spoken

TEMPLATES = 200
"""Templates kept per resource; the one not seen for longest makes room, and that is counted."""
WORDS = 24
"""Words of a line that are looked at; the rest is left out, and counts for nothing."""
LONGEST = 8192
"""Characters of a line in which secrets are masked, so that none is cut in two."""
CHARACTERS = 600
"""Characters of a masked line that are looked at."""
WHOLE = 100
"""Lines per resource and second of which each is clustered; beyond, one of SAMPLE is, and counts for all of them."""
SAMPLE = 20
BIN = 15.0
"""Seconds in which occurrences are counted together."""
BINS = 240
"""Bins remembered: an hour, which is what "before" means."""
LEARNED = timedelta(minutes=10)
"""A line without a level is called new only after so long; a warning or worse sooner, with how long it has been."""
GLIMPSE = timedelta(minutes=1)
FEWEST = 5
"""Occurrences below which nothing is called more frequent."""
TIMES = 3.0
"""It must be so many times as frequent as before, however sure the difference is."""
CHANCE = 1e-4
"""Probability, over all templates of a resource together, of calling one more frequent that is not."""
PAST = 8
"""Bins there must be before, to compare with."""
FAILING = ("CRITICAL", "ERROR")
_LEVELS = ("CRITICAL", "ERROR", "WARNING", "")
_TRACEBACK = "Traceback (most recent call last):"
_STATUS = re.compile(r'" ([1-5])\d\d(?= |$)')
"""An access log's status is what its lines differ by, not a number among others."""
_VARIABLE = re.compile(
    r"(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?)"
    r"|(?P<id>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)"
    r"|(?P<ip>\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b)"
    r"|(?P<hex>\b0x[0-9a-fA-F]+\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b)"
    r"|(?P<n>\d+(?:[.,]\d+)*)(?!xx\b)"
)


@dataclass(slots=True)
class Counted:
    """How often one template came, in bins of BIN seconds over the last hour."""

    level: Level | None
    example: str
    first_at: datetime
    last_at: datetime
    count: int = 0
    newest: int = 0
    bins: "array[int]" = field(default_factory=lambda: array("L", [0]) * BINS)

    def add(self, at: datetime, number: int) -> None:
        here = _bin(at)
        if self.newest == 0 or here - self.newest >= BINS:
            self.bins = array("L", [0]) * BINS
            self.newest = here
        while self.newest < here:
            self.newest += 1
            self.bins[self.newest % BINS] = 0
        if here > self.newest - BINS:  # a clock may have been set back
            self.bins[here % BINS] += number
        self.count += number
        self.last_at = max(self.last_at, at)

    def within(self, first: int, last: int) -> list[int]:
        """Its counts in these bins, both included, as far as they are remembered."""
        return [
            self.bins[n % BINS] if self.newest - BINS < n <= self.newest else 0
            for n in range(max(first, last - BINS + 1), last + 1)
        ]


@dataclass(frozen=True, slots=True)
class Template:
    """One template as it stands. `text` has `<*>`, `<n>`, `<ip>` … where its lines differ; `example` is the latest."""

    text: str
    level: Level | None
    count: int
    first_at: datetime
    last_at: datetime
    per_minute: float
    """Over the last hour, or since it is learnt."""
    example: str


@dataclass(frozen=True, slots=True)
class Remarkable:
    """A template that is new, or sharply more frequent than before, or an error that goes on; `said` tells it in a
    sentence."""

    template: Template
    new: bool
    at: datetime
    """When it came first, or when it became more frequent; of what goes on, when it came last."""
    said: str

    @property
    def rank(self) -> tuple[int, bool, int]:
        """What weighs more has less: the level, then what is new, then what is frequent."""
        return _LEVELS.index(self.template.level or ""), not self.new, -self.template.count


class Miner:
    """Of one resource. What it keeps of a line went through `masked`: secrets never enter it."""

    def __init__(self, since: datetime) -> None:
        self.since = since
        """Since when it has been learning."""
        self.lines = 0
        self.sampled = 0
        """Lines that were counted by one of them only."""
        self.unread = 0
        """Lines of a flood that were not even read."""
        self.dropped = 0
        """Templates that made room for others."""
        self._dropped_at: datetime | None = None
        self._second = 0
        self._within = {False: 0, True: 0}
        self._known: dict[int, Counted] = {}
        # Depth 4: templates are told apart by their number of words and their first word, which here is the level.
        self._drain = Drain(
            depth=4, sim_th=0.5, max_children=64, max_clusters=TEMPLATES, parametrize_numeric_tokens=False
        )

    def learn(self, line: str, level: Level | None, at: datetime, masked: Callable[[str], str]) -> None:
        """Take one entry. Of a flood only a sample is clustered; what has a level is sampled for itself."""
        self.lines += 1
        number = self._sampled(level is not None, int(at.timestamp()))
        if number:
            self._take(masked(_telling(line)[:LONGEST]), level, at, number)

    def missed(self, number: int) -> None:
        """So many lines of a flood were not read."""
        self.unread += number

    def _sampled(self, told: bool, second: int) -> int:
        """For how many lines this one counts; 0 where it is passed over."""
        if second != self._second:
            self._second, self._within = second, {False: 0, True: 0}
        self._within[told] += 1
        if (beyond := self._within[told] - WHOLE) <= 0:
            return 1
        self.sampled += 1
        return SAMPLE if beyond % SAMPLE == 0 else 0

    def _take(self, line: str, level: Level | None, at: datetime, number: int) -> None:
        found, what = self._drain.add_log_message(_words(line[:CHARACTERS], level))
        known = self._known.get(found.cluster_id)
        if what == "cluster_created" or known is None:
            known = self._known[found.cluster_id] = Counted(level, line[:CHARACTERS], at, at)
            if len(self._known) > TEMPLATES:
                self._forget(at)
        known.example = line[:CHARACTERS]
        known.add(at, number)

    def _forget(self, at: datetime) -> None:
        for key in [key for key in self._known if key not in self._drain.id_to_cluster]:
            del self._known[key]
            self.dropped += 1
            self._dropped_at = at

    # What it tells -----------------------------------------------------------------------------------------------

    def templates(self, at: datetime) -> list[Template]:
        """All of them, worst level first, then the most frequent."""
        found = [self._template(key, known, at) for key, known in self._known.items()]
        return sorted(found, key=lambda t: (_LEVELS.index(t.level or ""), -t.count, t.text))

    def remarkable(self, begin: datetime, until: datetime) -> list[Remarkable]:
        """What is new or sharply more frequent from `begin` to `until`; worst level first."""
        found = [
            told
            for key, known in self._known.items()
            if known.last_at >= begin
            and (told := self._new(key, known, begin, until) or self._surge(key, known, begin, until))
        ]
        return sorted(found, key=lambda told: told.rank)

    def failing(self, begin: datetime, until: datetime) -> Remarkable | None:
        """The error that came most from `begin` to `until`, however long it has been known."""
        came = {
            key: sum(known.within(_bin(begin), _bin(until)))
            for key, known in self._known.items()
            if known.level in FAILING and begin <= known.last_at
        }
        most = max(came, key=lambda key: came[key], default=None)
        if most is None or not came[most]:
            return None
        said = f"in its log meanwhile, {came[most]} ×, as before"
        return Remarkable(self._template(most, self._known[most], until), False, self._known[most].last_at, said)

    def _new(self, key: int, known: Counted, begin: datetime, until: datetime) -> Remarkable | None:
        learnt = known.first_at - self.since
        if not begin <= known.first_at <= until or learnt < (GLIMPSE if known.level else LEARNED):
            return None
        if self._dropped_at is not None and until - self._dropped_at < timedelta(seconds=BIN * BINS):
            return None  # it may have been known, and forgotten for others
        often = sum(known.within(_bin(begin), _bin(until)))
        said = f"new in its log, {often} ×, never in the {spoken(learnt.total_seconds())} before"
        return Remarkable(self._template(key, known, until), True, known.first_at, said)

    def _surge(self, key: int, known: Counted, begin: datetime, until: datetime) -> Remarkable | None:
        """Two Poisson rates are compared given their sum, which leaves a binomial (Przyborowski and Wilenski,
        Biometrika 1940); its tail is bounded by Chernoff's inequality (Hoeffding, JASA 1963, theorem 1), so that chance
        is rather over- than underrated. Logs come in bursts: counts are divided by the index of dispersion of the past
        (quasi-Poisson: McCullagh and Nelder, 1989, 6.2.3)."""
        first, last = _bin(begin), _bin(until)
        before = known.within(max(_bin(self.since), last - BINS + 1), first - 1)
        lately = known.within(first, last)
        often, bins, past = sum(lately), len(lately), len(before)
        if often < FEWEST or past < PAST or bins >= BINS - PAST:
            return None
        mean = sum(before) / past
        if often / bins < TIMES * max(mean, 1 / past):
            return None
        spread = sum((count - mean) ** 2 for count in before) / (past - 1)
        dispersion = max(1.0, spread / mean) if mean else 1.0
        if chance(often / dispersion, bins, sum(before) / dispersion, past) > CHANCE / len(self._known):
            return None
        rate = mean * 60 / BIN
        was = f"{rate:.2g} a minute before" if mean else f"never in the {spoken(BIN * past)} before"
        times = f", {often / bins / mean:.0f} times as often" if mean else ""
        said = f"more frequent in its log: {often} × within {bins * BIN:.0f} s, {was}{times}"
        rises = next(n for n, count in enumerate(lately) if count)
        began = max(begin, datetime.fromtimestamp((first + rises) * BIN, tz=begin.tzinfo))
        return Remarkable(self._template(key, known, until), False, began, said)

    def _template(self, key: int, known: Counted, at: datetime) -> Template:
        cluster = self._drain.id_to_cluster.get(key)
        words: Sequence[str] = cluster.log_template_tokens[1:] if cluster is not None else ()
        seconds = min(BIN * BINS, max(BIN, (at - self.since).total_seconds()))
        lately = sum(known.within(_bin(at) - BINS + 1, _bin(at)))
        return Template(
            " ".join(words),
            known.level,
            known.count,
            known.first_at,
            known.last_at,
            round(lately * 60 / seconds, 3),
            known.example,
        )


def chance(often: float, bins: int, before: float, past: int) -> float:
    """At most so probable is it to see `often` in `bins` and `before` in `past` bins, or more extreme, were the rates
    the same: `exp(-n·KL(q‖p))`."""
    number = often + before
    q, p = often / number, bins / (bins + past)
    if q <= p:
        return 1.0
    information = q * math.log(q / p) + ((1 - q) * math.log((1 - q) / (1 - p)) if q < 1 else 0.0)
    return math.exp(-number * information)


def _telling(entry: str) -> str:
    """The line that tells most of an entry: of a traceback the exception it ends with."""
    if entry.startswith(_TRACEBACK):
        entry = f"Traceback: {entry.rstrip().rpartition(chr(10))[2].strip()}"
    return entry.partition("\n")[0]


def _words(line: str, level: Level | None) -> str:
    """The line with what varies masked, after a first word that keeps levels and classes of status apart."""
    status = _STATUS.search(line)
    kept = f"{level or '-'}{f':{status[1]}xx' if status else ''}"
    if status:
        line = f'{line[: status.start()]}" {status[1]}xx{line[status.end() :]}'
    masked = _VARIABLE.sub(lambda found: f"<{found.lastgroup}>", line)
    return " ".join([kept, *masked.split()[:WORDS]])


def _bin(at: datetime) -> int:
    return int(at.timestamp() // BIN)
