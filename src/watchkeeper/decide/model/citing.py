"""What an answer may cite, and the text of it as it comes: a mark that stands for nothing is taken out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchkeeper.domain.conversation import Citation, Cited
from watchkeeper.store.scanning import Scanner

LONGEST = 120
"""Characters of a bracket that may hold marks; a longer one is text."""
_MARK = r"(?:[A-Z]\d+|(?:inc|fix|al)-[0-9a-z]+)"
MARKS = re.compile(rf"\s?\[\s*{_MARK}(?:\s*[,;]\s*{_MARK})*\s*\]")
ONE = re.compile(_MARK)


@dataclass
class Marks:
    """What may be cited, by the mark that was shown with it. `numbers`: by letter, the highest one given."""

    items: dict[str, Citation] = field(default_factory=dict[str, Citation])
    numbers: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, letter: str, kind: Cited, key: str, href: str, said: str, at: datetime | None = None) -> str:
        """The same thing has the same mark, however often it is shown."""
        for mark, known in self.items.items():
            if (known.kind, known.id) == (kind, key):
                return mark
        self.numbers[letter] = number = self.numbers.get(letter, 0) + 1
        return self.name(f"{letter}{number}", kind, key, href, said, at)

    def name(self, mark: str, kind: Cited, key: str, href: str, said: str, at: datetime | None = None) -> str:
        """For what has an id that people know: it is its own mark."""
        self.items[mark] = Citation(mark, kind, key, href, said, at)
        return mark


class Telling:
    """The text of an answer, piece by piece: without secrets, and with no mark but those that were shown.

    A piece is held back while it might be the beginning of a mark or of a word.
    """

    def __init__(self, marks: Marks, scanner: Scanner) -> None:
        self._marks = marks
        self._scanner = scanner
        self._done = ""
        """Lines that are through, as they were told."""
        self._line = ""
        """The one at work, as it came."""
        self._told = 0
        """Characters of the clean text of the line at work that were told."""
        self.cited: dict[str, None] = {}
        self.removed: dict[str, None] = {}

    @property
    def spoke(self) -> bool:
        """Whether anything was told."""
        return bool(self._done or self._told)

    @property
    def text(self) -> str:
        return self._done

    def more(self, piece: str) -> str:
        """What may be told now."""
        said: list[str] = []
        *lines, rest = (self._line + piece).split("\n")
        for line in lines:
            said.append(self._end(line, "\n"))
        self._line = rest
        clean = self._clean(rest[: _safe(rest)])
        said.append(clean[self._told :])
        self._told = max(self._told, len(clean))
        return "".join(said)

    def end(self) -> str:
        """The rest."""
        line, self._line = self._line, ""
        return self._end(line, "")

    def _end(self, line: str, mark: str) -> str:
        clean = self._clean(line, final=True)
        rest, self._told = clean[self._told :] + mark, 0
        self._done += clean + mark
        return rest

    def _clean(self, line: str, *, final: bool = False) -> str:
        before = self._scanner.masked
        text = self._scanner.text(line)
        if not final:
            self._scanner.masked = before  # the same line is looked through again
        return MARKS.sub(lambda match: self._kept(match, final=final), text)

    def _kept(self, match: re.Match[str], *, final: bool) -> str:
        said = list(dict.fromkeys(ONE.findall(match[0])))
        known = [mark for mark in said if mark in self._marks.items]
        if final:
            self.cited.update(dict.fromkeys(known))
            self.removed.update(dict.fromkeys(mark for mark in said if mark not in known))
        space = match[0][: len(match[0]) - len(match[0].lstrip())]
        return f"{space}[{', '.join(known)}]" if known else ""


def _safe(line: str) -> int:
    """How much of a line that is not through may be told: whole words, no open bracket, nor the space before one."""
    end = max(line.rfind(" "), 0)
    opened = line.rfind("[", 0, end)
    if opened >= 0 and "]" not in line[opened:end] and end - opened <= LONGEST:
        end = opened
    while end > 0 and line[end - 1] == " ":
        end -= 1
    return end


def cited(marks: Marks, telling: Telling) -> tuple[Citation, ...]:
    """Those that stand in the text, in the order in which they do."""
    return tuple(replace(marks.items[mark]) for mark in telling.cited)


def known(citations: Mapping[str, Citation], numbers: Mapping[str, int]) -> Marks:
    """What was cited before in the same conversation may be cited again."""
    return Marks(dict(citations), dict(numbers))
