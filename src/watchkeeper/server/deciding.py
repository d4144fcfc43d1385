"""`/api/approvals/{key}/decide`: a page for whoever follows a link in a message. It decides by nothing but a token."""

from typing import Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from watchkeeper.domain import Approval, Principal, WatchkeeperError
from watchkeeper.domain.restraint import moment
from watchkeeper.server.incidents import decide
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Unauthorized, allowed, looker, looks, principal_by

router = APIRouter(prefix="/api", include_in_schema=False)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
NOTE = 500
"""Characters of a note that are kept."""
_STYLE = Markup(
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#eee;padding:.1rem .3rem}label{display:block;margin:.8rem 0}input{width:100%;padding:.4rem}"
    "button{padding:.5rem 1.2rem;margin:.4rem .6rem 0 0;font-size:1rem}dt{color:#666}dd{margin:0 0 .5rem}"
)


@router.get("/approvals/{key}/decide")
async def deciding(key: str, request: Request, runtime: Here) -> HTMLResponse:
    """What waits, and the form by which it is decided. Nothing is decided by following the link."""
    try:
        await looker(request, runtime)
    except WatchkeeperError:
        return _page(key, None)  # what it is about is shown once the token is
    return await _shown(runtime, key)


@router.post("/approvals/{key}/decide")
async def decided(key: str, request: Request, runtime: Here) -> HTMLResponse:
    """Show it, approve it or reject it: whoever's token was typed in."""
    form = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
    said = {name: values[0] for name, values in form.items()}
    try:
        who = await _whose(runtime, said.get("token", "").strip())
        if said.get("to") not in ("approved", "rejected"):
            looks(who)
            return await _shown(runtime, key)
        to: Literal["approved", "rejected"] = "approved" if said["to"] == "approved" else "rejected"
        approval = await decide(
            runtime,
            key,
            allowed(runtime, who, "approve", "approve" if to == "approved" else "reject"),
            to,
            said.get("note", "")[:NOTE],
        )
    except WatchkeeperError as problem:
        told = Markup("<p><strong>{}</strong><br>{}</p>").format(problem.what, problem.next_step)
        return _page(key, None, told, problem.status)
    told = Markup("<p><strong>{} by {}.</strong></p>").format(approval.status.capitalize(), who.name)
    return _page(key, approval, told)


async def _whose(runtime: Runtime, token: str) -> Principal:
    if not token:
        raise Unauthorized("Type in your token: without one nothing is decided.", "`watchkeeper token new` makes one.")
    return await principal_by(runtime, token)


async def _shown(runtime: Runtime, key: str) -> HTMLResponse:
    try:
        return _page(key, await runtime.store.get(Approval, key))
    except WatchkeeperError as problem:
        return _page(key, None, Markup("<p><strong>{}</strong></p>").format(problem.what), problem.status)


def _page(key: str, approval: Approval | None, said: Markup | str = "", status: int = 200) -> HTMLResponse:
    over = approval is not None and approval.status != "waiting"
    parts = [said, _plan(approval) if approval else "", "" if over else _form(approval)]
    body = Markup("").join(parts)
    text = Markup(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Watchkeeper: {key}</title><style>{style}</style><h1>{key}</h1>{body}</html>"
    ).format(key=key, style=_STYLE, body=body)
    return HTMLResponse(text, status, headers={"Content-Security-Policy": POLICY})


def _plan(approval: Approval) -> Markup:
    steps = Markup("").join(
        Markup("<li>{} on {}{}<br>{}</li>").format(
            Markup("<code>{}({})</code>").format(step.tool, ", ".join(f"{k}={v}" for k, v in step.arguments.items())),
            step.resource,
            f" ({step.effect})",
            Markup("by hand: <code>{}</code>").format(step.by_hand) if step.by_hand else step.why,
        )
        for step in approval.plan.steps
    )
    diagnosis = approval.plan.diagnosis
    rows = [
        ("Status", approval.status.replace("_", " ")),
        ("Incident", approval.incident or "none"),
        ("Cause", diagnosis.cause if diagnosis else ""),
        ("Planned by", approval.plan.author),
        ("Why it asks", approval.decision.reason),
        ("Waits until", moment(approval.expires_at)),
        ("Decided by", approval.decided_by),
    ]
    listed = Markup("").join(Markup("<dt>{}<dd>{}").format(name, value) for name, value in rows if value)
    return Markup("<dl>{}</dl><ol>{}</ol>").format(listed, steps)


def _form(approval: Approval | None) -> Markup:
    show = Markup("") if approval else Markup('<button name="to" value="show">Show it</button>')
    return Markup(
        '<form method="post"><label>Your token <input name="token" type="password" autocomplete="current-password" '
        'required></label><label>Note <input name="note" maxlength="500"></label>{}'
        '<button name="to" value="approved">Approve</button><button name="to" value="rejected">Reject</button></form>'
    ).format(show)
