"""The pages of the documentation, and the fenced blocks in them.

A comment right above a block says how it is to be taken: `<!-- not run: why -->`, `<!-- exits 2 -->`,
`<!-- lab -->` (needs Docker).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_FENCE = re.compile(
    r"(?:^ *<!-- (?P<note>lab|(?:not run:|exits )[^\n]*?) -->\n)?"
    r"^(?P<indent> *)(?P<mark>`{3,})(?P<language>[\w-]+)\n(?P<text>.*?)^(?P=indent)(?P=mark)$",
    re.MULTILINE | re.DOTALL,
)
SHELL = ("console", "bash")


@dataclass(frozen=True)
class Block:
    """One fenced block, with the page it is on, its line there and what the comment above it says."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why it is not run; empty where it is."""
        return self.note.removeprefix("not run:").strip() if self.note.startswith("not run:") else ""

    @property
    def needs_docker(self) -> bool:
        return self.note == "lab"

    @property
    def exit_code(self) -> int:
        return int(self.note.removeprefix("exits ")) if self.note.startswith("exits ") else 0

    @property
    def commands(self) -> list[str]:
        """What a reader would type: in a console the lines after `$ `, in a script all of it."""
        if self.language == "bash":
            return [self.text]
        return [command.strip() for command in re.findall(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)", self.text, re.MULTILINE)]


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text[: m.start("mark")].count("\n") + 1, m["language"], dedent(m["text"]), m["note"] or "")
        for m in _FENCE.finditer(text)
    ]


ALL = [block for page in PAGES for block in blocks(page)]


def of(*languages: str) -> list[Block]:
    return [block for block in ALL if block.language in languages]
