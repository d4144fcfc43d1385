"""Runbooks found by words: for agents over MCP, and for the model that answers questions."""

import re
from collections.abc import Iterable

from watchkeeper.domain import Runbook


def found(books: Iterable[Runbook], query: str) -> list[Runbook]:
    """The one of that name; else those that have any word of the query (a symptom, a cause, a tool), best first. All,
    by name, where it has no word."""
    known = sorted(books, key=lambda book: book.name)
    if exact := [book for book in known if book.name == query.strip()]:
        return exact
    words = set(re.findall(r"[\w-]+", query.lower()))
    if not words:
        return known
    scores = [(_score(book, words), book) for book in known]
    return [book for score, book in sorted(scores, key=lambda pair: -pair[0]) if score]


def _score(book: Runbook, words: set[str]) -> int:
    """A word in its name counts most, then in its cause, then anywhere."""
    tools = " ".join(step.tool for rung in book.ladder for step in rung)
    places = ((5, book.name), (3, book.cause), (2, f"{book.kind} {tools} {book.when.source}"), (1, book.page))
    return sum(weight for word in words for weight, text in places if word in text.lower())
