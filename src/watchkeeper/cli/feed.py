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
    ("incident.stopped", "▲", "yellow"),
    ("incident.closing", "▲", "yellow"),
    ("incident.joined", "●", "red"),
    ("incident.again", "·", "dim"),
    ("incident.cooldown", "▲", "yellow"),
    ("incident.maintenance", "▲", "yellow"),
    ("incident.closed", "●", "bold green"),
    ("incident.", "·", "none"),
    ("approval.requested", "?", "bold yellow"),
    ("approval.", "·", "yellow"),
    ("fix.healed", "●", "bold green"),
    ("fix.not_healed", "✖", "red"),
    ("fix.inconclusive", "▲", "yellow"),
    ("fix.not_tried", "·", "yellow"),
    ("fix.step.done", "✓", "green"),
    ("fix.step.failed", "✖", "red"),
    ("fix.step.refused", "✖", "red"),
    ("fix.step.unknown", "▲", "yellow"),
    ("fix.", "▸", "none"),
    ("change.", "△", "cyan"),
    ("store.", "▲", "yellow"),
    ("paused", "▲", "bold yellow"),
    ("maintenance.", "▲", "yellow"),
    ("silence.", "▲", "yellow"),
    ("notification.", "·", "dim"),
    ("breaker.opened", "▲", "bold yellow"),
    ("breaker.", "·", "none"),
    ("plan.", "▲", "yellow"),
    ("watch.blind", "▲", "bold yellow"),
    ("resource.renamed", "▲", "yellow"),
    ("resource.", "·", "dim"),
    ("health.", "·", "dim"),
)
LONGEST_STEM = 19
STAGES = ("fix.step.intended", "fix.step.acting", "fix.executed", "incident.verifying")
"""Ways to an end that is told, too."""
TOLD_BY_ITS_ALERT = "health.changed"
TOLD_WITH_THE_INCIDENT = ("fix.healed", "alert.resolved")


def worth_a_line(event: dict[str, Any]) -> bool:
    """Whether `up` tells it as it happens; `watchkeeper show` has all of it.

    >>> [worth_a_line({"kind": kind, "data": {"quiet": True}}) for kind in ("alert.firing", "incident.escalated")]
    [False, True]
    """
    kind = str(event["kind"])
    if event["data"].get("quiet"):  # another line tells it, or told it before; but not what came of a second look
        return kind == "incident.escalated"
    return kind not in (*STAGES, TOLD_BY_ITS_ALERT) and not (event.get("incident") and kind in TOLD_WITH_THE_INCIDENT)


def line(event: dict[str, Any], width: int | None = None) -> "Text":
    """Time, what kind, what happened, and the incident it belongs to; for an approval the command that gives it.

    Where that would not fit in `width` columns the command has a line of its own, so that it can be copied.
    """
    from rich.text import Text

    from watchkeeper.cli.screen import clock

    kind = str(event["kind"])
    shape, style = next(((shape, style) for stem, shape, style in STYLES if kind.startswith(stem)), ("·", "none"))
    if event["data"].get("quiet"):  # who has it is not called anew
        shape, style = "·", "dim"
    text = Text(f"{clock(event['at'])} ", "dim").append(f"{shape} {kind:<{LONGEST_STEM}} ", style)
    text.append(str(event["text"]), "none")
    incident = event.get("incident")
    if incident and kind.startswith(("incident.", "alert.")):
        text.append(f"  {incident}", "dim")
    command = {
        "approval.requested": f"watchkeeper approve {event['subject']}",
        "incident.escalated": f"watchkeeper show {incident}",
    }.get(kind)
    if command:
        fits = width is None or len(text) + len(command) + 4 <= width
        text.append(f"{'  ' if fits else chr(10)}→ {command}", "bold yellow")
    return text
