"""The map as it is drawn."""

import io
from typing import Any

from rich.console import Console

from watchkeeper.cli.graph import Picture, around, dot, mermaid
from watchkeeper.cli.map import show


def page(*edges: str, runs_on: str = "", sick: tuple[str, ...] = (), unknown: tuple[str, ...] = ()) -> dict[str, Any]:
    """`"a>b"`: a needs b. `runs_on="a:box"`: a runs in box."""
    carried = dict(pair.split(":") for pair in runs_on.split())
    names = {n for e in edges for n in e.split(">")} | {*carried, *carried.values()}
    sign = {"how": "connections", "evidence": "2 connections to 10.0.0.1:1", "since": "", "seen_at": ""}
    return {
        "nodes": [
            {
                "id": f"docker/lab/x/{n}",
                "slug": n,
                "health": "FAILED" if n in sick else "HEALTHY",
                "runs_on": f"docker/lab/x/{carried[n]}" if n in carried else None,
            }
            for n in sorted(names)
        ],
        "edges": [
            {"source": f"docker/lab/x/{a}", "target": f"docker/lab/x/{b}", "known": [sign]}
            for a, _, b in (e.partition(">") for e in edges)
            if b
        ],
        "overruled": [],
        "unknown": [{"resource": "", "text": text} for text in unknown],
    }


def drawn(of: dict[str, Any], *, evidence: bool = False) -> list[str]:
    screen = Console(file=io.StringIO(), width=200)
    show(screen, Picture.of(of), of, evidence=evidence)
    return screen.file.getvalue().splitlines()  # pyright: ignore[reportAttributeAccessIssue]


def test_what_people_reach_is_at_the_top_and_what_all_need_below() -> None:
    said = drawn(page("web>shop", "shop>cache", "shop>orders"))
    assert said == [
        "● web",
        "└── ● shop  connections",
        "    ├── ● cache  connections",
        "    └── ● orders  connections",
    ]


def test_a_service_and_what_it_runs_in_are_drawn_as_one() -> None:
    assert drawn(page("shop>cache", runs_on="cache:box"))[1] == "└── ● cache in ● box  connections"


def test_what_is_drawn_once_is_named_again_and_not_drawn_again() -> None:
    said = drawn(page("a>b", "c>b", "b>d"))
    assert said == [
        "● a",
        "└── ● b  connections",
        "    └── ● d  connections",
        "● c",
        "└── ● b  connections  ↑ as above",
    ]


def test_a_circle_is_drawn_and_ends() -> None:
    assert drawn(page("a>b", "b>a")) == ["● a", "└── ● b  connections", "    └── ● a  connections  ↺ a circle"]


def test_what_is_unwell_says_so_in_shape_and_word() -> None:
    assert "✖ cache FAILED" in drawn(page("shop>cache", sick=("cache",)))[1]


def test_what_stands_alone_and_what_cannot_be_known_is_said() -> None:
    said = drawn(page("shop>cache", "alone", unknown=("2 clients of cache come through 10.0.0.1 (NAT)",)))
    assert "  ● alone" in said
    assert "  2 clients of cache come through 10.0.0.1 (NAT)" in said


def test_evidence_is_shown_where_it_is_asked_for() -> None:
    assert "2 connections to 10.0.0.1:1" in "\n".join(drawn(page("a>b"), evidence=True))
    assert "10.0.0.1" not in "\n".join(drawn(page("a>b")))


def test_the_map_around_one_leaves_out_what_is_not_connected_with_it() -> None:
    kept = around(page("web>shop", "shop>cache", "web>orders", "alone"), "docker/lab/x/shop")
    assert {node["slug"] for node in kept["nodes"]} == {"web", "shop", "cache"}


def test_pictures_for_machines_hold_every_edge_and_quote_what_must_be() -> None:
    made = page('a"b>c', runs_on="c:box")
    assert '"docker/lab/x/a\\"b" -> "docker/lab/x/c" [label="connections"];' in dot(made)
    assert 'n0["a#quot;b<br/>HEALTHY"]:::HEALTHY' in mermaid(made)
    assert 'n0 -->|"connections"| n2' in mermaid(made)
