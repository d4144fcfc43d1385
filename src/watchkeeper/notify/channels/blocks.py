"""A message in Slack's Block Kit (docs.slack.dev/reference/block-kit). What is longer than it takes is cut."""

from typing import Any

from watchkeeper.domain.notification import Message
from watchkeeper.notify.channel import short

HEADER = 150
SECTION = 3000
FIELD = 2000
URL = 3000
APPROVE = "watchkeeper_approve"
REJECT = "watchkeeper_reject"
SIGNS = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":large_blue_circle:"}
WELL = ":white_check_mark:"


def blocks(message: Message, *, buttons: bool) -> list[dict[str, Any]]:
    """What happened, and how its incident stands now."""
    incident = message.incident
    closed = incident is not None and incident.status == "closed"
    sign = WELL if closed else SIGNS[message.severity]
    head = incident.title if incident is not None else message.text
    found: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": short(f"{sign} {head}", HEADER), "emoji": True}}
    ]
    if incident is not None or len(head) > HEADER - 20:
        found.append(_section(message.text))
    if fields := _fields(message):
        found.append({"type": "section", "fields": fields[:10]})
    waits = message.approval is not None and message.approval.status == "waiting"
    if commands := _commands(message):
        found.append(_section("By hand: " + ", ".join(f"`{escaped(one)}`" for one in commands), raw=True))
    if message.following:
        found.append(_section(_following(message), raw=True))
    if elements := _elements(message, buttons=buttons and waits):
        found.append({"type": "actions", "elements": elements})
    found.append(_context(message))
    return found


def line(message: Message) -> dict[str, Any]:
    """What happened, in the thread."""
    return _section(f"{escaped(message.text)}" + (f"\n{_following(message)}" if message.following else ""), raw=True)


def escaped(text: str) -> str:
    """As Slack wants its three characters: what is told cannot make a link or call anybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str, *, raw: bool = False) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": short(text if raw else escaped(text), SECTION)}}


def _following(message: Message) -> str:
    return f"_Next:_ {escaped(message.following)}"


def _fields(message: Message) -> list[dict[str, Any]]:
    incident = message.incident
    said = [
        ("State", incident.outcome or incident.status.replace("_", " ") if incident else ""),
        ("Severity", message.severity if incident else ""),
        ("Resource", message.slug),
        ("Environment", message.environment),
        ("Cause", incident.diagnosis.cause if incident and incident.diagnosis else ""),
    ]
    return [{"type": "mrkdwn", "text": short(f"*{name}*\n{escaped(value)}", FIELD)} for name, value in said if value]


def _commands(message: Message) -> list[str]:
    approval = message.approval
    if approval is None or approval.status != "waiting":
        return []
    return [step.by_hand for step in approval.plan.steps if step.by_hand]


def _elements(message: Message, *, buttons: bool) -> list[dict[str, Any]]:
    found = list[dict[str, Any]]()
    if buttons and message.approval is not None:
        steps = ", ".join(step.tool for step in message.approval.plan.steps)
        found.append(_button("Approve", APPROVE, message.approval.id, "primary", f"Let it run {steps}?"))
        found.append(_button("Reject", REJECT, message.approval.id, "danger", f"Refuse {steps}?"))
    for name, href in message.links.items():
        if len(href) <= URL:
            label = {"type": "plain_text", "text": short(name.capitalize(), 75)}
            found.append({"type": "button", "text": label, "url": href, "action_id": f"watchkeeper_open_{name}"})
    return found


def _button(label: str, action: str, value: str, style: str, question: str) -> dict[str, Any]:
    def plain(text: str, most: int) -> dict[str, Any]:
        return {"type": "plain_text", "text": short(text, most)}

    return {
        "type": "button",
        "text": plain(label, 75),
        "action_id": action,
        "value": value,
        "style": style,
        "confirm": {
            "title": plain("Are you sure?", 100),
            "text": plain(question, 300),
            "confirm": plain(label, 30),
            "deny": plain("Not now", 30),
        },
    }


def _context(message: Message) -> dict[str, Any]:
    at = int(message.at.timestamp())
    when = f"<!date^{at}^{{date_short_pretty}} {{time_secs}}|{message.at:%Y-%m-%d %H:%M:%S} UTC>"
    about = escaped(message.incident_id or message.kind)
    text = " · ".join([about, when, *map(escaped, message.rules)])
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": short(text, FIELD)}]}
