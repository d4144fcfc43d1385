"""An incident as a story for the screen."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from watchkeeper.cli import feed
from watchkeeper.cli.incidents import standing, unwell
from watchkeeper.cli.screen import arguments, called, clock, counted, lasted, moment, prose
from watchkeeper.cli.status import show_advice, show_waiting
from watchkeeper.domain import Event
from watchkeeper.domain.change import NOTHING_CHANGED
from watchkeeper.domain.unwatched import unwatched

VERDICT = {
    "healed": ("●", "green"),
    "still well": ("●", "green"),
    "recovered": ("●", "green"),
    "not healed": ("✖", "red"),
    "not tried": ("·", "yellow"),
    "inconclusive": ("▲", "yellow"),
}
_CAVEATS = (" is not served yet: ", " came back ")
"""In reasons of a verdict that say at what cost it is well, and prove nothing."""
CHANGED = {"before", "now"}
"""What a change of a setting gives: the step's arguments and the change that was noticed say the same."""
OUTCOMES = {"allow": "allowed", "ask": "asked for", "deny": "denied"}
STEP = {"done": ("✓", "green"), "failed": ("✖", "red"), "refused": ("✖", "red"), "unknown": ("▲", "yellow")}


def tell(screen: Console, detail: dict[str, Any], chain: dict[str, Any], back: Mapping[str, str]) -> None:
    """Alerts, diagnosis with its evidence and what is kept of it, fixes with steps and proof, advice, time line.
    `back`: by fix, what is said of taking it back."""
    incident = detail["incident"]
    screen.print(Text(f"{incident['id']}  {incident['title']}", "bold"))
    line = standing(incident)
    took = between(incident["opened_at"], incident["closed_at"], detail["events"])
    if took and incident["reopened"]:
        took = f"{lasted(unwell(incident) or 0.0)} in all; it came back {incident['reopened']}×"
    screen.print(line.append(f" after {took}" if took else "").append(f" · {roots(incident)}", "none"))
    proofs = ["; ".join(fix["verdict"]["reasons"]) for fix in detail["fixes"] if fix["verdict"]]
    if incident["reason"] and incident["reason"] not in proofs:
        screen.print(Text(incident["reason"]))
    if incident["to_do"]:
        screen.print(Text(f"Next: {incident['to_do']}", "bold yellow"))
    if said := incident["acknowledged"]:
        screen.print(Text(f"{who(said)} looks after it since {clock(said['at'])}{noted(said)}"))
    if (said := incident["left"]) and incident["status"] != "closed":
        by = f"{who(said)} took it over at {clock(said['at'])}{noted(said)}; the loop leaves it alone"
        screen.print(Text(f"{by}. `watchkeeper retry {incident['id']}` gives it back.", "yellow"))
    if incident["merged_into"]:
        screen.print(Text(f"It goes on there: watchkeeper show {incident['merged_into']}", "bold"))
    for absorbed in incident["absorbed"]:
        screen.print(Text(f"{absorbed} turned out to be part of it: watchkeeper show {absorbed}"))
    if incident["reopened"]:
        screen.print(Text(f"It came back {counted(incident['reopened'], 'time')}."))
    _heading(screen, "Alerts")
    for alert in incident["alerts"]:
        fired = f"fired {clock(alert['firing_at'])}, resolved {clock(alert['resolved_at'])}"
        screen.print(Text(f"  {alert['rule']} on {alert['resource']} ({alert['severity']}), {fired}"), soft_wrap=True)
        prose(screen, f"{alert['why']}", 4)
    if detail["outside"]:
        _heading(screen, "Told from outside")
    for alert in detail["outside"]:
        said = f"  {alert['name']} on {alert['resource']}, by {alert['sender']}: fires since {clock(alert['began_at'])}"
        over = f", resolved {clock(alert['ended_at'])}" if alert["ended_at"] else ""
        screen.print(Text(f"{said}{over}. {alert['summary']}".rstrip()), soft_wrap=True)
    if incident["diagnosis"]:
        _diagnosis(screen, incident["diagnosis"], chain)
        for told in incident["spared"]:
            prose(screen, told, 2)
    _changes(screen, detail["changes"], incident["reopened_at"] or incident["opened_at"], bool(incident["reopened_at"]))
    decided = [event["data"] for event in detail["events"] if event["kind"].startswith("approval.")]
    notes = {data["fix"]: data["note"] for data in decided if "note" in data}
    for fix in detail["fixes"]:
        _fix(screen, fix, notes.get(fix["id"], ""), back, detail["events"])
    if incident["approval"] and incident["approval"]["status"] == "waiting":
        _heading(screen, "Decision")
        show_waiting(screen, incident["approval"])
    elif detail["advice"] and incident["status"] not in ("fixing", "verifying", "closed"):
        _heading(screen, "Advice")
        by_hand = f"`watchkeeper fix {incident['root']}` is your approval of this, and does it at once"
        show_advice(screen, detail["advice"], by_hand if incident["status"] == "escalated" else "It would do this")
    _heading(screen, "Time line")
    for event in detail["events"]:
        told = {**event, "text": _once(event["text"], proofs)}
        screen.print(feed.line(told, screen.width if screen.is_terminal else None))
        if event["seq"] == detail["events_left_out_after"]:
            screen.print(Text(f"… more between: watchkeeper report {incident['id']} has all of it", "dim"))


def who(said: dict[str, Any]) -> str:
    return str(said["by"]).partition(":")[2] or str(said["by"])


def noted(said: dict[str, Any]) -> str:
    return f": {said['note']}" if said["note"] else ""


def tell_fix(screen: Console, fix: dict[str, Any], back: Mapping[str, str]) -> None:
    """One fix: its steps with results, what was undone, and the proof; and where the rest of the story is."""
    _fix(screen, fix, "", back)
    if fix["incident"]:
        screen.print(Text(f"\nIts incident: watchkeeper show {fix['incident']}"))


def _once(text: str, proofs: list[str]) -> str:
    """Without a proof that stands with its fix already."""
    for proof in filter(None, proofs):
        text = text.replace(proof, "the proof is with the fix above")
    return text


def roots(incident: dict[str, Any]) -> str:
    """Its root, or where several faults have one incident all of them."""
    found: list[str] = incident["roots"]
    return f"root {found[0]}" if len(found) == 1 else f"roots {', '.join(found)}"


def between(start: str | None, end: str | None, events: Sequence[dict[str, Any]] = ()) -> str:
    """How long from one time to another, and how long of that nobody watched; empty where one is not known."""
    began, ended = moment(start), moment(end)
    if began is None or ended is None:
        return ""
    told = [Event(e["kind"], "", "", at, data=e["data"]) for e in events if (at := moment(e["at"]))]
    away = unwatched(told, began, ended)
    said = lasted((ended - began).total_seconds())
    return f"{said}, {lasted(away)} of it unwatched" if away else said


def _heading(screen: Console, text: str) -> None:
    screen.print(Text(f"\n{text}", "bold underline"))


def _changes(screen: Console, changes: list[dict[str, Any]], opened_at: str, back: bool) -> None:
    """What changed before and after it opened, or came `back` for the last time."""
    it = "it came back" if back else "it opened"
    opened = moment(opened_at)
    ages = [((opened - at).total_seconds() if opened and (at := moment(one["at"])) else 0.0, one) for one in changes]
    _heading(screen, f"Changed before {it}")
    for seconds, change in ages:
        if seconds >= 0:
            prose(screen, f"{lasted(seconds)} before {it}: {change['text']}", 2)
    if not any(seconds >= 0 for seconds, _ in ages):
        prose(screen, NOTHING_CHANGED, 2)
    if any(seconds < 0 for seconds, _ in ages):
        _heading(screen, "Changed since")
    for seconds, change in ages:
        if seconds < 0:
            prose(screen, f"{lasted(-seconds)} after {it}: {change['text']}", 2)


def _diagnosis(screen: Console, diagnosis: dict[str, Any], chain: dict[str, Any]) -> None:
    _heading(screen, "Diagnosis")
    sure = "" if diagnosis["confidence"] is None else f", confidence {diagnosis['confidence']:.2f}"
    prose(screen, f"{diagnosis['cause']} ({diagnosis['author']}{sure})", 2)
    prose(screen, f"{diagnosis['reasoning']}", 2)
    for evidence in chain["evidence"]:
        whose = "" if evidence["resource"] == diagnosis["root"] else f"{evidence['resource'].split('/', 3)[-1]}: "
        prose(screen, f"- {clock(evidence['at'])} {whose}{evidence['what']}{_kept(evidence)}", 2)
    for evidence in chain["against"]:
        prose(screen, f"- against it: {evidence['what']}{_kept(evidence)}", 2)
    for passed in diagnosis["ruled_out"]:
        prose(screen, f"- passed over: {passed}", 2)
    for key, why in chain["refused"].items():
        prose(screen, f"- refused: {key}: {why}", 2)
    if asked := chain["interactions"]:
        prose(screen, f"A model was asked {counted(len(asked), 'time')}, {_took(chain['took'])}.", 2)
        screen.print(Text(f"    watchkeeper llm show {asked[-1]}    its last answer; `llm interactions` lists all"))


def _took(took: dict[str, Any]) -> str:
    tokens = f"{took['input_tokens']:,} tokens in and {took['output_tokens']:,} out"
    cost = "of unknown price" if took["cost"] is None else f"${took['cost']:.4f}"
    back = f"; {counted(took['sent_back'], 'answer')} did not pass the checks" if took["sent_back"] else ""
    return f"{tokens}, {cost}, {took['seconds']:.1f} s of its own{back}"


def _kept(evidence: dict[str, Any]) -> str:
    return f" ({evidence['kept']})" if evidence["kept"] else ""


def _fix(
    screen: Console, fix: dict[str, Any], note: str, back: Mapping[str, str], events: Sequence[dict[str, Any]] = ()
) -> None:
    verdict = fix["verdict"]
    shape, style = VERDICT.get(fix["said"], ("▸", "yellow"))
    _heading(screen, f"Fix {fix['id']}")
    took = between(fix["started_at"], fix["finished_at"], events)
    by = permission(fix["decision"], fix["approved_by"]) + (f": {note}" if note else "")
    screen.print(Text(f"  {shape} {fix['said']}", style).append(f" in {took}" if took else "", "none"))
    prose(screen, f"{fix['plan']['author']}; {by}", 2)
    records = {record["index"]: record for record in fix["steps"]}
    for index, step in enumerate(fix["plan"]["steps"]):
        _step(screen, step, records.get(index), events)
        if step["why"] and fix["plan"]["author"].startswith("llm:"):
            prose(screen, f"why: {step['why']}", 6)
    for record in fix["undo"]:
        screen.print(Text(f"  undone: {record['tool']} {record['status']} {record['error'] or ''}".rstrip()))
    for reason in verdict["reasons"] if verdict else ():
        prose(screen, f"{'but' if any(one in reason for one in _CAVEATS) else 'proof'}: {reason}", 2)
    if said := back.get(fix["id"]):
        prose(screen, said, 2)


def permission(decision: dict[str, Any], approved_by: str) -> str:
    """Who let it be done.

    >>> permission({"outcome": "ask", "policy": "mode/approve"}, "person:ada")
    'policy mode/approve asks a person; approved by person:ada'
    >>> permission({"outcome": "allow", "policy": "lab/reversible"}, "")
    'allowed by policy lab/reversible'
    """
    if not approved_by:
        return f"{OUTCOMES[decision['outcome']]} by policy {decision['policy']}"
    asks = f"policy {decision['policy']} asks a person; " if decision["outcome"] == "ask" else ""
    return f"{asks}approved by {approved_by}"


def _step(
    screen: Console, step: dict[str, Any], record: dict[str, Any] | None, events: Sequence[dict[str, Any]]
) -> None:
    status = record["status"] if record else "not begun"
    shape, style = STEP.get(status, ("·", "none"))
    took = between(record["started_at"], record["finished_at"], events) if record else ""
    call = f"{step['tool']} {called(step)}".rstrip() if step["undo_of"] is None else f"undo of {step['tool']}"
    line = Text(f"  {shape} {status}", style).append(f"  {call} [{step['effect']}]", "none")
    screen.print(line.append(f" in {took}" if took else "", "none"), soft_wrap=True)
    if record and record["error"]:
        prose(screen, f"{record['error']}", 6)
    output: Any = record["output"] if record else None
    if isinstance(output, dict) and output.keys() - CHANGED:
        prose(screen, f"gave: {arguments(cast('dict[str, Any]', output))}", 6)
    if step["by_hand"]:
        screen.print(Text(f"      by hand: {step['by_hand']}"), soft_wrap=True)
