"""A page as a browser would parse it."""

import re
from typing import Any

import html5lib

_NAMESPACE = re.compile(r"^\{[^}]*\}")


def parse(text: str) -> Any:
    """The tree that the HTML standard makes of it."""
    return html5lib.parse(text, namespaceHTMLElements=False)


def tag(element: Any) -> str:
    return _NAMESPACE.sub("", element.tag) if isinstance(element.tag, str) else ""


def every(tree: Any, *names: str) -> list[Any]:
    return [one for one in tree.iter() if tag(one) in names]


def text_of(element: Any) -> str:
    return " ".join(" ".join(element.itertext()).split())


def runs_or_fetches(tree: Any) -> list[str]:
    """Everything in it that could run or be fetched; the empty icon is none."""
    found = [
        tag(one) for one in every(tree, "script", "iframe", "object", "embed", "img", "image", "base", "form", "a")
    ]
    for one in tree.iter():
        for name, value in one.attrib.items():
            plain = _NAMESPACE.sub("", name).lower()
            if plain.startswith("on") or plain in ("srcdoc", "action", "formaction", "ping", "poster", "background"):
                found.append(f"{tag(one)} {plain}")
            if plain in ("src", "href", "srcset", "data") and value not in ("data:,",):
                found.append(f"{tag(one)} {plain}={value}")
            if plain == "style" and ("url(" in value or "expression" in value):
                found.append(f"{tag(one)} style={value}")
    for style in every(tree, "style"):
        found += re.findall(r"@import[^;]*|url\([^)]*\)|https?:[^\s;]*", text_of(style))
    return found
