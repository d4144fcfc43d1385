"""What `make demo` shows: a real shop is broken, found, fixed and proven well, before the reader's eyes; and a model
whose customers ask otherwise than they did."""

import os
import tempfile
import textwrap
import time
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from watchkeeper_lab.lab import Lab
from watchkeeper_lab.oracle import Judgement
from watchkeeper_lab.row import Row
from watchkeeper_lab.runner import Run, play
from watchkeeper_lab.scenario import scenario
from watchkeeper_lab.server import command, watchkeeper_for
from watchkeeper_lab.services import Ground
from watchkeeper_lab.support_bot.show import act as model

ACTS = ("redis-memory-full-headroom", "redis-clients-exhausted", "self-recovering")


async def demo(console: Console, ground: Ground | None = None) -> int:
    """Run the demonstration; return 0 only if everything went right. What it started is stopped, whatever happens."""
    command()
    began = time.monotonic()
    rows: list[Row] = []
    heard = False
    with tempfile.TemporaryDirectory(prefix="watchkeeper-demo-") as folder:
        console.rule("A shop: an API twice, nginx, Redis, PostgreSQL, and visitors")
        async with Lab.running(f"demo-{os.getpid()}", console.print, ground) as lab:
            console.print(f"The shop serves at {lab.shop_url}, and visitors are buying.")
            console.print("Starting Watchkeeper in mode auto, with its default settings…")
            async with watchkeeper_for(lab, Path(folder)) as server:
                console.print(f"Watchkeeper answers at {server.base_url}.")
                for name in ACTS:
                    rows.append(await _act(name, lab, server.base_url, console))
                heard = await model(lab, server.base_url, server.token, console)
            console.print()
            console.print("Stopping everything that was started…")
    console.print(closing(rows))
    right = len(rows) == len(ACTS) and all(row.right for row in rows) and heard
    word = "Everything went right" if right else "NOT everything went right"
    console.print(
        f"{word}. The demonstration took {time.monotonic() - began:.0f} s.", style="bold" if right else "bold red"
    )
    return 0 if right else 1


async def _act(name: str, lab: Lab, base_url: str, console: Console) -> Row:
    """One fault or control, told as it happens, with the proof after it."""
    chosen = scenario(name)
    console.print()
    console.rule(f"{'Control' if chosen.is_control else 'Fault'}: {name}")
    console.print(chosen.description)
    console.print("Seconds since it was in effect, and what Watchkeeper does:")

    def tell(seconds: float, line: str) -> None:
        console.print(f"  {seconds:6.1f}  {line}", soft_wrap=True)

    run = await play(lab, chosen, base_url, look_at_fault=not chosen.is_control, tell=tell)
    if chosen.is_control and run.row.actions == 0:
        tell(run.row.seconds.total, "nothing was done, and nothing was to be done")
    console.print(_proof(run))
    for reason in run.row.reasons:
        console.print(f"  the oracle objects: {reason}", style="red", soft_wrap=True)
    return run.row


def _proof(run: Run) -> Table:
    """Before, broken and after, as the lab's own probes saw it."""
    broken = None if run.row.kind == "control" else run.broken
    stages = {"before": run.before, "broken": broken, "after": run.after}
    seen = {stage: judgement for stage, judgement in stages.items() if judgement is not None}
    shown = Table(title="Measured by the lab itself")
    shown.add_column("")
    for stage in seen:
        shown.add_column(stage, overflow="fold")
    shown.add_row("Redis memory, of maxmemory", *[_share(one, "redis_memory_ratio") for one in seen.values()])
    shown.add_row("Redis clients, of maxclients", *[_share(one, "redis_client_ratio") for one in seen.values()])
    shown.add_row("the oracle's word", *[_word(one) for one in seen.values()])
    audit = run.after.audit
    if audit is not None:
        shown.add_row(
            "acknowledged writes read back", *[""] * (len(seen) - 1), f"{audit.checked}, {len(audit.lost)} lost"
        )
    return shown


def _share(judgement: Judgement, name: str) -> str:
    value = judgement.facts.get(name)
    return f"{value:.0%}" if isinstance(value, float) else "no answer"


def _word(judgement: Judgement) -> str:
    return "healthy" if judgement.healthy else f"not healthy: {judgement.reasons[0]}"


def closing(rows: list[Row]) -> Table:
    """Everything at a glance; one column per fault or control, narrow enough for 80 columns."""
    lines: dict[str, list[str]] = {
        "right": ["yes" if row.right else "NO" for row in rows],
        "Watchkeeper says": [row.verdict for row in rows],
        "the oracle says": [row.final_health for row in rows],
        "done": ["\n".join(row.tools) or "nothing" for row in rows],
    }
    for part in ("detect", "decide", "act", "verify", "total"):
        lines[f"{part}, seconds"] = [f"{getattr(row.seconds, part):.1f}" if row.kind == "fault" else "" for row in rows]
    lines["requests failed"] = [f"{row.requests_failed} of {row.requests}" for row in rows]
    lines["writes lost"] = [str(row.data_lost) for row in rows]
    shown = Table(title="What happened", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", overflow="fold")
    for row in rows:
        shown.add_column("\n".join(textwrap.wrap(row.name, 17)), overflow="fold")
    for name, cells in lines.items():
        shown.add_row(name, *cells)
    return shown
