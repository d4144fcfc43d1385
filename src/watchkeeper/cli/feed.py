"""One line for each event: what a person follows."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

STYLES = (
    ("alert.firing", "✖", "red"),
    ("alert.", "●", "green"),
    ("incident.opened", "✖", "bold red"),
    ("incident.reopened", "✖", "bold red"),
    ("incident.escalated", "▲", "bold red"),
    ("incident.closed", "●", "bold green"),
    ("incident.", "·", "none"),
    ("approval.requested", "?", "bold yellow"),
    ("approval.", "·", "yellow"),
    ("fix.healed", "●", "bold green"),
    ("fix.not_healed", "✖", "red"),
    ("fix.inconclusive", "▲", "yellow"),
    ("fix.step.done", "✓", "green"),
    ("fix.step.failed", "✖", "red"),
    ("fix.step.refused", "✖", "red"),
    ("fix.step.unknown", "▲", "yellow"),
    ("fix.", "▸", "none"),
    ("paused", "▲", "bold yellow"),
    ("plan.", "▲", "yellow"),
    ("resource.", "·", "dim"),
)
LONGEST_STEM = 19


def line(event: dict[str, Any]) -> "Text":
    """Time, what kind, what happened, and the incident it belongs to; for an approval the command that gives it."""
    from rich.text import Text

    from watchkeeper.cli.screen import clock

    kind = str(event["kind"])
    shape, style = next(((shape, style) for stem, shape, style in STYLES if kind.startswith(stem)), ("·", "none"))
    text = Text(f"{clock(event['at'])} ", "dim").append(f"{shape} {kind:<{LONGEST_STEM}} ", style)
    text.append(str(event["text"]), "none")
    incident = event.get("incident")
    if incident and kind.startswith(("incident.", "alert.")):
        text.append(f"  {incident}", "dim")
    if kind == "approval.requested":
        text.append(f"  → watchkeeper approve {event['subject']}", "bold yellow")
    if kind == "incident.escalated":
        text.append(f"  → watchkeeper show {incident}", "bold")
    return text
