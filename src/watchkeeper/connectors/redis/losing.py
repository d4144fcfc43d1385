"""Whether a Redis came back without its keys."""

from collections.abc import Sequence

from watchkeeper.domain import Reading


def lost(before: Sequence[Reading], after: Sequence[Reading]) -> str:
    """What a restart has cost, in a sentence; empty where nothing is known to be missing. Half of the keys and more:
    fewer may have expired meanwhile. What was there after it and is gone since was removed by somebody."""
    known = next((reading for reading in before if _tells(reading)), None)
    run = after[-1].facts.get("run_id") if after else None
    first = next((one for one in after if _tells(one) and one.facts.get("run_id") == run), None)
    if known is None or first is None or known.facts.get("run_id") == run:
        return ""
    had, has = known.metrics["keys"], first.metrics["keys"]
    if had < 1 or has > had / 2:
        return ""
    why = "" if known.metrics.get("persistence_enabled", 0.0) > 0 else "; nothing of them was kept on disk"
    if has < 1:
        return f"came back empty: its {had:,.0f} keys are gone{why}"
    if why:  # what is there by now may have been written since
        return f"came back without its {had:,.0f} keys{why} ({has:,.0f} are there by now)"
    return f"came back with {has:,.0f} of its {had:,.0f} keys"


def _tells(reading: Reading) -> bool:
    metrics = reading.metrics
    loading = metrics.get("loading", 0.0) > 0
    return (
        metrics.get("responding", 0.0) > 0 and "keys" in metrics and not loading and bool(reading.facts.get("run_id"))
    )
