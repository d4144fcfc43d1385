"""The map as a picture: trees for a terminal, Graphviz, Mermaid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from rich.tree import Tree

from watchkeeper.cli.screen import HEALTH

COLOURS = {"HEALTHY": "#2f9e44", "DEGRADED": "#f08c00", "FAILED": "#e03131", "UNKNOWN": "#1098ad"}
Edge = Mapping[str, Any]
Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """The map by places: a service and what it runs on are drawn as one."""

    places: Mapping[str, Sequence[Node]]
    """By the id of its first: what is there, services first."""
    needs: Mapping[str, Sequence[tuple[str, Edge]]]
    """By place: the places it needs."""
    names: Mapping[str, str]

    @classmethod
    def of(cls, page: Mapping[str, Any]) -> "Picture":
        nodes: dict[str, Node] = {node["id"]: node for node in page["nodes"]}
        carrier = {key: node["runs_on"] if node["runs_on"] in nodes else key for key, node in nodes.items()}
        members: dict[str, list[Node]] = {}
        for key, node in nodes.items():
            members.setdefault(carrier[key], []).append(node)
        places = {key: sorted(of, key=lambda n: (n["id"] == key, n["slug"])) for key, of in members.items()}
        needs: dict[str, list[tuple[str, Edge]]] = {key: [] for key in places}
        for edge in page["edges"]:
            source, target = carrier[edge["source"]], carrier[edge["target"]]
            if source != target:
                needs[source].append((target, edge))
        ordered = {key: sorted(of, key=lambda n: nodes[n[1]["target"]]["slug"]) for key, of in needs.items()}
        return cls(places, ordered, {key: node["slug"] for key, node in nodes.items()})

    def tops(self) -> list[str]:
        """The places from which everything is reached: those that nobody needs, and one of each circle without them."""
        needed = {target for targets in self.needs.values() for target, _ in targets}
        starts = [key for key in self._by_name() if key not in needed]
        seen: set[str] = set()
        tops: list[str] = []
        for key in (*starts, *self._by_name()):
            if key not in seen:
                tops.append(key)
                self._reach(key, seen)
        return tops

    def _by_name(self) -> list[str]:
        return sorted(self.places, key=lambda key: self.names[key])

    def _reach(self, key: str, seen: set[str]) -> None:
        todo = [key]
        while todo:
            if (at := todo.pop()) not in seen:
                seen.add(at)
                todo += [target for target, _ in self.needs[at]]


def trees(picture: Picture, *, evidence: bool = False) -> tuple[list[Tree], list[Text]]:
    """One tree for each place at the top, and the places that stand alone."""
    needed = {target for targets in picture.needs.values() for target, _ in targets}
    drawn: set[str] = set()
    made: list[Tree] = []
    alone: list[Text] = []
    for top in picture.tops():
        if not picture.needs[top] and top not in needed:
            alone.append(_label(picture, top))
            continue
        tree = Tree(_label(picture, top))
        _grow(tree, picture, top, drawn, (), evidence)
        made.append(tree)
    return made, alone


def _grow(tree: Tree, picture: Picture, key: str, drawn: set[str], path: tuple[str, ...], evidence: bool) -> None:
    drawn.add(key)
    below: dict[str, list[Edge]] = {}
    for target, edge in picture.needs[key]:
        below.setdefault(target, []).append(edge)
    for target, edges in below.items():
        label = _label(picture, target)
        ways = dict.fromkeys(sign["how"] for edge in edges for sign in edge["known"])
        label.append(f"  {', '.join(ways)}", "dim")
        again = target in drawn and bool(picture.needs[target])
        if target in (*path, key):
            label.append("  ↺ a circle", "dim")
        elif again:
            label.append("  ↑ as above", "dim")
        branch = tree.add(label)
        if evidence:
            for sign in (sign for edge in edges for sign in edge["known"]):
                branch.add(Text(sign["evidence"], "dim italic"))
        if not again and target not in (*path, key):
            _grow(branch, picture, target, drawn, (*path, key), evidence)


def _label(picture: Picture, key: str) -> Text:
    """Each that is there, by shape, colour and word."""
    label = Text()
    for number, node in enumerate(picture.places[key]):
        shape, colour = HEALTH.get(node["health"], ("?", "cyan"))
        label.append(" in " if number and node["id"] == key else ", " if number else "")
        label.append(f"{shape} ", colour).append(node["slug"], "bold" if not number else "none")
        if node["health"] != "HEALTHY":
            label.append(f" {node['health']}", colour)
    return label


def around(page: Mapping[str, Any], centre: str) -> dict[str, Any]:
    """The map without what neither needs the centre nor is needed by it."""
    up = _closure(centre, [(edge["source"], edge["target"]) for edge in page["edges"]])
    down = _closure(centre, [(edge["target"], edge["source"]) for edge in page["edges"]])
    kept = up | down
    kept |= {n["runs_on"] for n in page["nodes"] if n["id"] in kept and n["runs_on"]}
    return {
        **page,
        "nodes": [node for node in page["nodes"] if node["id"] in kept],
        **{
            name: [edge for edge in page[name] if edge["source"] in kept and edge["target"] in kept]
            for name in ("edges", "overruled")
        },
        "unknown": [gap for gap in page["unknown"] if gap["resource"] in kept],
    }


def _closure(start: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    seen, todo = {start}, [start]
    while todo:
        at = todo.pop()
        for source, target in edges:
            if source == at and target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def _ways(edge: Edge) -> str:
    return ", ".join(sign["how"] for sign in edge["known"])


def dot(page: Mapping[str, Any]) -> str:
    """For Graphviz: `watchkeeper map --format dot | dot -Tsvg`."""
    lines = ["digraph watchkeeper {", "  rankdir=TB;", '  node [shape=box, style="rounded,filled", fontcolor=white];']
    for node in page["nodes"]:
        label = _quoted(f"{node['slug']}\n{node['health']}")
        lines.append(f'  {_quoted(node["id"])} [label={label}, fillcolor="{COLOURS[node["health"]]}"];')
    for edge in page["edges"]:
        style = ", style=dashed" if _ways(edge) == "runs_on" else ""
        lines.append(f"  {_quoted(edge['source'])} -> {_quoted(edge['target'])} [label={_quoted(_ways(edge))}{style}];")
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def mermaid(page: Mapping[str, Any]) -> str:
    """For Markdown that draws Mermaid (GitHub, GitLab)."""
    number = {node["id"]: f"n{at}" for at, node in enumerate(page["nodes"])}
    lines = ["flowchart TD"]
    for node in page["nodes"]:
        text = f"{node['slug']}<br/>{node['health']}".replace('"', "#quot;")
        lines.append(f'  {number[node["id"]]}["{text}"]:::{node["health"]}')
    for edge in page["edges"]:
        arrow = "-.->" if _ways(edge) == "runs_on" else "-->"
        lines.append(f'  {number[edge["source"]]} {arrow}|"{_ways(edge)}"| {number[edge["target"]]}')
    lines += [f"  classDef {health} fill:{colour},color:#fff" for health, colour in COLOURS.items()]
    return "\n".join([*lines, ""])
