"""Filling in the templates. Every value is escaped by Jinja; only the style sheet, which is ours, is not."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper import __version__

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; sandbox"
"""What the API sends with a page, besides the same in the page: no script, nothing from anywhere."""


def clock(at: datetime | None) -> str:
    return at.strftime("%H:%M:%S") if at else "—"


def stamp(at: datetime) -> str:
    return at.strftime("%d %b %Y %H:%M")


def capital(text: str) -> str:
    """The first letter large, the others as they are: `iPhone` in the middle stays so."""
    return text[:1].upper() + text[1:]


@cache
def _environment() -> "jinja2.Environment":
    import jinja2  # 0.1 s, which `up` need not wait for

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )
    made.filters.update(clock=clock, stamp=stamp, capital=capital)  # pyright: ignore[reportUnknownMemberType]
    return made


def render(template: str, **values: Any) -> str:
    """A page, whole."""
    from markupsafe import Markup

    style = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))
    return _environment().get_template(template).render(style=style, version=__version__, **values)
