"""The command line: `watchkeeper lab up | break | reset | down | status | faults`."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from watchkeeper_lab import instance as instances
from watchkeeper_lab.bench import Order, compare, read, tables
from watchkeeper_lab.bench import bench as measure
from watchkeeper_lab.bench.compare import table as changed
from watchkeeper_lab.bench.model import AUTO, MODEL, RUNBOOKS, SCRIPTED
from watchkeeper_lab.bench.seat import PLANNER
from watchkeeper_lab.demo import demo as show
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.grounds import release_engine
from watchkeeper_lab.instance import DEFAULT_NAME
from watchkeeper_lab.lab import Lab, take_down
from watchkeeper_lab.oracle import Judgement
from watchkeeper_lab.scenario import left_out, scenario, scenarios
from watchkeeper_lab.serve import serve as serve_lab
from watchkeeper_lab.serve.process import PORT
from watchkeeper_lab.services import Ground
from watchkeeper_lab.stack import SHOP, STACKS, stack
from watchkeeper_lab.support_bot import cli as support_bot

HELP = """A small real shop to practise on: an API twice behind nginx, Redis, PostgreSQL, and visitors who buy.

`up` starts it, `faults` lists what can be broken, `break` breaks it, `status` is what the lab itself measures, `reset`
makes it well again, `down` leaves nothing behind but the images, for the next time. It runs in containers, or where
no engine can run as plain processes.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
console = Console(highlight=False)


class RunByDefault(TyperGroup):
    """`bench [SUITE]` is short for `bench run [SUITE]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` in front where no command is named."""
        named = args[:1] and args[0] in {*self.commands, "--help"}
        return super().parse_args(ctx, args if named else ["run", *args])


BENCH_HELP = """Measure Watchkeeper on the lab.

`bench [SUITE]` is short for `bench run [SUITE]`, whose options `bench run --help` lists.
"""
bench = typer.Typer(cls=RunByDefault, no_args_is_help=False, help=BENCH_HELP)
Name = Annotated[str, typer.Option("--name", help="Which lab; several can be up at once.")]
NewName = Annotated[
    str | None, typer.Option("--name", help="What to call it; several can be up at once. By default as its stack.")
]
StackName = Annotated[str, typer.Option("--stack", help=f"Which system: {' or '.join(STACKS)}.")]
Processes = Annotated[
    bool, typer.Option("--processes", help="As plain processes of this machine; else only where no engine can run.")
]


RESULTS = Path("benchmarks/results")


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end. A failure is told in two lines, with its exit code (2: something is up to the user)."""
    try:
        code = asyncio.run(_ended_by_sigterm(work))
    except LabError as error:
        print(f"error: {error.what}", error.hint, sep="\n", file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


async def _ended_by_sigterm(work: Coroutine[Any, Any, int | None]) -> int | None:
    """Do the work; SIGTERM cancels it, so that what it started is stopped, as after Ctrl-C."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def wanted(processes: bool) -> Ground | None:
    """What a lab is to run on; None for whatever can be had."""
    return "process" if processes else None


@app.command()
def up(
    name: NewName = None,
    processes: Processes = False,
    stack: StackName = SHOP.name,
    beside: support_bot.With = None,
    server: support_bot.ServerUrl = None,
) -> None:
    """Start a stack, its services and its visitors (the first time, images are made: about two minutes)."""
    run(_up(name or stack, wanted(processes), stack, beside, server))


async def _up(name: str, ground: Ground | None, stack_name: str, beside: list[str] | None, server: str | None) -> None:
    began = time.monotonic()
    support_bot.check(beside, server)
    lab = await Lab.up(name, console.print, ground, stack(stack_name))
    console.print(f"Lab `{name}` is up and healthy after {time.monotonic() - began:.1f} s.")
    where = f"container {lab.redis_runs_in}" if lab.ground == "container" else lab.redis_runs_in
    console.print(f"  {lab.stack.name:<8}{lab.shop_url}", soft_wrap=True)
    console.print(f"  Redis   127.0.0.1:{lab.redis_port}  ({where})", soft_wrap=True)
    if beside:
        await support_bot.start(lab, console, server)
    if lab.instance.configuration():
        console.print("A Watchkeeper finds it with this watchkeeper.yaml:\n")
        console.print(lab.instance.configuration(), soft_wrap=True)


@app.command()
def faults(stack_name: StackName = SHOP.name) -> None:
    """List what can be broken, and the controls that must be left alone."""
    run(_faults(stack_name))


async def _faults(stack_name: str) -> None:
    chosen = stack(stack_name)
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "what happens"):
        table.add_column(column, no_wrap=column != "what happens")
    for one in scenarios(chosen).values():
        table.add_row(one.name, one.kind, one.description)
    console.print(table)
    up_now = instances.load_all()
    console.print(f"Labs that are up: {', '.join(one.name for one in up_now) or 'none'}.")
    if chosen.containers_only:
        return
    console.print("Left out in a lab of plain processes:")
    for name, why in left_out("process").items():
        console.print(f"  {name} needs a {scenarios()[name].needs}: {why}", soft_wrap=True)


@app.command("break")
def break_(
    fault: Annotated[str, typer.Argument(help="One of `watchkeeper lab faults`.")], name: Name = DEFAULT_NAME
) -> None:
    """Inject a fault, or start a control."""
    run(_break(fault, name))


async def _break(fault: str, name: str) -> None:
    made = instances.load(name)
    scenario(fault, stack=made.stack if made else SHOP)
    lab = await Lab.attach(name)
    chosen = scenario(fault, lab.ground, lab.stack)
    began = time.monotonic()
    console.print(f"Injecting {chosen.name} into lab `{name}`, with what the shop itself would write…", soft_wrap=True)
    await lab.inject(chosen.name)
    console.print(f"In effect after {time.monotonic() - began:.1f} s: {chosen.description}", soft_wrap=True)


@app.command()
def status(name: Name = DEFAULT_NAME) -> None:
    """What the oracle says now; exit code 1 where it is not healthy."""
    run(_status(name))


async def _status(name: str) -> int:
    lab = await Lab.attach(name)
    seen = await lab.oracle.judge()
    last = lab.ledger.requests(time.time() - 60)
    visitors = "visitors are there" if lab.visitors.running() else "there are no visitors"
    console.print(f"Lab `{name}`: {lab.shop_url}, Redis on port {lab.redis_port}; {visitors}.")
    console.print(f"Last minute: {last.total} requests, {last.failed} failed.")
    _show(seen)
    return 0 if seen.healthy else 1


@app.command()
def reset(name: Name = DEFAULT_NAME) -> None:
    """Make everything healthy again, whatever was done."""
    run(_reset(name))


async def _reset(name: str) -> None:
    lab = await Lab.attach(name)
    began = time.monotonic()
    console.print(f"Resetting lab `{name}`: services, settings, and what was put into Redis…")
    restored = await lab.reset()
    console.print(f"Lab `{name}` is healthy again after {time.monotonic() - began:.1f} s.")
    if restored.lost:
        console.print(f"{len(restored.lost)} acknowledged writes had been lost.", style="red")
    _show(restored.judgement)


@app.command()
def serve(
    name: Name = DEFAULT_NAME,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where it listens, on loopback.")] = PORT,
    results: Annotated[Path, typer.Option("--results", help="A folder with results of benchmarks.")] = RESULTS,
) -> None:
    """Let a Watchkeeper forward failures, resets and validation runs to this lab, until Ctrl-C."""
    run(serve_lab(name, port, results, lambda line: console.print(line, soft_wrap=True)))


@app.command()
def down(name: Name = DEFAULT_NAME) -> None:
    """Stop everything the lab started and remove it: visitors, containers or processes, networks, volumes, files."""
    run(_down(name))


async def _down(name: str) -> None:
    began = time.monotonic()
    existed = await take_down(name)
    await release_engine()
    done = f"is down after {time.monotonic() - began:.1f} s" if existed else "was not up"
    console.print(f"Lab `{name}` {done}.")


def _show(seen: Judgement) -> None:
    console.print(
        "The oracle says: " + ("healthy." if seen.healthy else "NOT healthy."), style=None if seen.healthy else "red"
    )
    for reason in seen.reasons:
        console.print(f"  - {reason}")
    if seen.audit is not None:
        console.print(f"  {seen.audit.checked} acknowledged writes read back, {len(seen.audit.lost)} lost.")
    for name, value in seen.facts.items():
        console.print(f"  {name} {value}")


support_bot.register(app, run, console)


@bench.command("run")
def bench_run(
    suite: Annotated[
        str,
        typer.Argument(
            help="lab, faults, controls, long (20 minutes each), all, prometheus (as it tells), second (stack), or "
            "unforeseen (no runbook for it)."
        ),
    ] = "lab",
    runs: Annotated[int, typer.Option("--runs", help="How often each scenario is run.")] = 1,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this scenario; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Draws order and sizes as in an earlier run.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
    planner: Annotated[
        str,
        typer.Option(
            "--planner",
            help="Who plans: runbooks, model: that of BENCH_MODEL or watchkeeper.yaml, auto: runbooks, then the model, "
            "mcp: whoever connects, or scripted: written answers over the model's protocol.",
        ),
    ] = RUNBOOKS,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Also what two simple-minded contenders would come to.")
    ] = True,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="Only this baseline, as runbooks or restart_unhealthy; may be repeated."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep each run's store, configuration and output in this folder.")
    ] = None,
    processes: Processes = False,
) -> None:
    """Run every fault and control in random order on a lab and a Watchkeeper of its own, and show what came of it."""
    seed = random.randrange(1 << 31) if seed is None else seed
    order = Order(suite, tuple(only or ()), runs, seed, planner, 1 if baselines else 0, tuple(beside or ()))
    run(_bench(order, json, wanted(processes), keep))


async def _bench(order: Order, path: Path | None, ground: Ground | None, keep: Path | None) -> int:
    if order.planner not in (known := (RUNBOOKS, MODEL, AUTO, PLANNER, SCRIPTED)):
        raise BadInputError(f"There is no planner `{order.planner}`.", f"There are {', '.join(known)}.")
    result = await measure(order, console, ground, path, keep)
    console.print(tables(result))
    return 0 if all(row["right"] for row in result["scenarios"]) else 1


@bench.command("compare")
def bench_compare(
    before: Annotated[Path, typer.Argument(help="Results, as `--json` wrote them.")],
    after: Annotated[Path, typer.Argument(help="Later ones.")],
    strict: Annotated[bool, typer.Option("--fail-on-regression", help="Exit code 1 where anything is worse.")] = False,
) -> None:
    """Show what changed between two benchmarks: right or wrong, and the median of each scenario."""
    run(_compare(before, after, strict))


async def _compare(before: Path, after: Path, strict: bool) -> int:
    changes = compare(read(before), read(after))
    console.print(changed(changes))
    worse = [one.name for one in changes if one.regressed]
    console.print(f"Worse: {', '.join(worse)}." if worse else "Nothing is worse.")
    return 1 if worse and strict else 0


app.add_typer(bench, name="bench")


@app.command()
def demo(processes: Processes = False) -> None:
    """Show a shop fail, be found, be fixed and be proven well; exit code 0 only if all went right."""
    run(show(console, wanted(processes)))
