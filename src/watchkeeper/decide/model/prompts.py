"""The prompts: files that a person can read and improve, under `decide/prompts/`."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import frontmatter

FOLDER = Path(__file__).parent.parent / "prompts"


@dataclass(frozen=True, slots=True)
class Prompt:
    """`version` tells, in each interaction, by which text it was made; the digest, that nobody has touched it since."""

    name: str
    text: str
    version: str


@cache
def prompt(name: str) -> Prompt:
    """`plan` is what `prompts/plan.md` says."""
    path = FOLDER / f"{name}.md"
    page = frontmatter.load(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return Prompt(name, page.content, f"{name}/{page.metadata.get('version', 0)} {digest}")
