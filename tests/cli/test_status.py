"""What `status` says of what is unwell."""

from typing import Any

from rich.console import Console

from watchkeeper.cli.status import _unwell

ADVICE = {
    "cause": "It was killed.",
    "author": "runbook:container-killed#1",
    "steps": [],
    "decision": {"outcome": "allow", "policy": "staging/disruptive", "reason": "It may."},
}
ITEM: dict[str, Any] = {
    **dict.fromkeys(("incident", "escalated", "to_do", "held", "maintenance", "stopped"), ""),
    "slug": "cache",
    "health": "FAILED",
    "state": "exited",
    "alerts": [],
    "tended_by": [],
    "advice": ADVICE,
}


def said(paused: str | None, **more: Any) -> str:
    screen = Console(width=120)
    with screen.capture() as captured:
        _unwell(screen, {**ITEM, **more}, None, paused)
    return captured.get()


def test_while_it_is_paused_nothing_is_said_to_be_done_now() -> None:
    assert "It would do now" in said(None)
    paused = said("paused by ada")
    assert "It would do this, and does nothing while it is paused by ada" in paused
    assert "It would do now" not in paused


def test_what_is_held_says_how_a_person_has_it_done_at_once() -> None:
    denied = {**ADVICE, "decision": {"outcome": "deny", "policy": "maintenance", "reason": "maintenance until 17:00"}}
    told = said(None, held="maintenance until 17:00", advice=denied)
    assert "`watchkeeper fix cache` is your approval of this, and does it at once" in told
    assert "fix cache" not in said("paused by ada", held="maintenance until 17:00", advice=denied)
