"""Whether what a fix did would be taken back now: said where it would, with what to type."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchkeeper.cli.client import Client

_SUCCEEDED = ("healed", "still well")


def takes_back(client: "Client", fixes: Sequence[dict[str, Any]]) -> dict[str, str]:
    """A line about the last of these fixes that changed something, by its id; none where it did not succeed, cannot be
    taken back any more, or whoever asks may not."""
    from watchkeeper.cli.client import Answered
    from watchkeeper.cli.incidents import segment

    changed = [fix for fix in fixes if any(record["status"] in ("done", "unknown") for record in fix["steps"])]
    last = max(changed, key=lambda fix: fix["started_at"], default=None)
    if last is None or last["plan"]["undoes"] or last["said"] not in _SUCCEEDED:
        return {}
    try:
        told = client.get(f"/api/fixes/{segment(last['id'])}/undo")
    except Answered:
        return {}
    but = f" ({told['reason']})" if told["reason"] else ""
    return {last["id"]: f"`watchkeeper undo {last['id']}` takes it back{but}."} if told["possible"] else {}
