"""What comes from outside stands between marks that it cannot forge, without secrets."""

import secrets
from dataclasses import dataclass, field

from watchkeeper.domain import Evidence
from watchkeeper.store.scanning import Scanner

LONGEST = 400
"""Characters of one piece of text from outside: a log line, an answer's field."""


@dataclass
class Fence:
    """One for each thought: its mark is random, so nothing that was written before can hold it."""

    scanner: Scanner
    mark: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def open(self) -> str:
        return f"<data-{self.mark}>"

    @property
    def close(self) -> str:
        return f"</data-{self.mark}>"

    def clean(self, text: str, longest: int = LONGEST) -> str:
        """One line, without secrets and control characters, cut where it is too long, which is said."""
        text = self.scanner.text(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split()).replace(self.mark, "")
        return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest} characters left out)"

    def around(self, text: str) -> str:
        return f"{self.open}\n{text.replace(self.mark, '')}\n{self.close}"


@dataclass
class Shown:
    """What was shown to the model, by the id that it may cite."""

    items: dict[str, Evidence] = field(default_factory=dict[str, Evidence])

    def add(self, letter: str, evidence: Evidence) -> str:
        number = sum(key.startswith(letter) for key in self.items) + 1
        self.items[key := f"{letter}{number}"] = evidence
        return key
