"""What a monitor is given when things go wrong: each is told, bounded, and costs nothing else."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.disk import small_disk  # noqa: F401  (a fixture)
from tests.monitor.test_processes import PATIENCE, run
from watchkeeper_monitor import Monitor, Reference
from watchkeeper_monitor.folding import Folding

NAN, INFINITY = float("nan"), float("inf")
MEGABYTE = 1 << 20


# Labels --------------------------------------------------------------------------------------------------------------


def test_of_labels_that_wait_for_their_prediction_the_first_stands_too() -> None:
    monitor = Monitor("bot")
    for truth in ("card", "card", "cash"):
        monitor.label("request-1", truth)
    monitor.track("card", id="request-1")
    said = monitor.summary().performance
    assert (said.accuracy.value, said.accuracy.of) == (1.0, 1)
    assert (said.labels_repeated, said.labels_conflicting, said.labels_waiting) == (1, 1, 0)


def test_very_many_labels_for_nobody_wait_in_bounded_memory_and_are_told() -> None:
    folding = Folding("bot", "1", remember=64)
    for number in range(200_000):
        folding.label(f"nobody-{number}", "card")
    assert (len(folding.waiting), folding.current.truth.unknown) == (10_000, 190_000)


def test_very_many_distinct_labels_take_no_room_from_the_classes_and_each_still_counts_once() -> None:
    folding = Folding("bot", "1", remember=1 << 18)
    folding.rows([range(150_000), ["card"] * 150_000, *([None] * 150_000 for _ in range(4))])
    for handle in range(150_000):
        folding.meet(handle, f"label-{handle}")
    for handle in range(149_990, 150_000):
        folding.meet(handle, f"label-{handle}")
        folding.meet(handle, "card")
    truth = folding.profile().truth
    assert (truth.labelled, truth.correct, truth.repeated, truth.conflicting) == (150_000, 0, 10, 10)
    assert len(truth.confusion.kept) <= truth.confusion.limit
    folding.rows([[200_000], ["a new class"], [None], [None], [None], [None]])
    folding.meet(200_000, "a new class")
    assert folding.profile().truth.correct == 1


@pytest.mark.parametrize(
    ("truth", "reason"),
    [("twelve", "label: not a number"), (NAN, "label: not finite"), (INFINITY, "label: not finite")],
)
def test_a_label_that_is_no_number_does_not_spoil_the_mean_error(truth: Any, reason: str) -> None:
    monitor = Monitor("price")
    good, bad = monitor.track(1.5), monitor.track(2.5)
    monitor.label(good, 1.0)
    monitor.label(bad, truth)
    said = monitor.summary()
    assert (said.performance.mean_absolute_error, said.quality.rejects) == (0.5, {reason: 1})


@pytest.mark.parametrize("subject", [np.int64(0), "0"])
def test_a_handle_out_of_an_array_is_a_handle_and_a_text_is_an_id(subject: Any) -> None:
    monitor = Monitor("bot")
    monitor.track("card")
    monitor.label(subject, "card")
    said = monitor.summary().performance
    assert (said.accuracy.of, said.labels_waiting) == ((0, 1) if subject == "0" else (1, 0))


# What is large -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["prediction", "segment", "true_label", "id", "features", "name", "label", "error"])
def test_ten_megabytes_anywhere_are_cut_and_not_kept(where: str) -> None:
    monitor, huge = Monitor("bot", remember=8), "x" * (10 * MEGABYTE)
    tracemalloc.start()
    try:
        for number in range(4):
            text = f"{number}{huge}"
            if where == "label":
                monitor.label(text, text)
            elif where == "error":
                monitor.error(text)
            elif where == "name":
                monitor.track("card", features={text: 1})
            else:
                given = {"features": {"age": text}} if where == "features" else {where: text}
                monitor.track(**({"prediction": "card"} | given))
            monitor.flush()
            text, given = "", {}
        assert tracemalloc.get_traced_memory()[0] < 10 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert len(json.dumps(monitor.summary().to_dict())) < 20_000


# Clocks --------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_and_forth_loses_nothing_and_dates_no_change() -> None:
    at = [1.7e9]
    folding = Folding("bot", "1", clock=lambda: at[0])
    for number, jump in enumerate((0, 1, -3600, 2, 86_400 * 400, -86_400 * 400, 5)):
        at[0] += jump
        rows = range(number * 300, number * 300 + 300)
        folding.rows([rows, ["card"] * 300, [0.9] * 300, [None] * 300, [None] * 300, [None] * 300])
        for handle in rows:
            folding.meet(handle, "card")
        folding.settle()
    profile = folding.profile()
    assert (profile.predictions, profile.truth.correct) == (2100, 2100)
    assert profile.began <= profile.ended
    assert folding.streams.changes() == []


# References ----------------------------------------------------------------------------------------------------------


def test_a_reference_with_other_columns_compares_what_both_have_and_names_the_rest() -> None:
    monitor = Monitor("bot", reference=Reference.from_data({"age": np.arange(1000.0), "gone": ["a"] * 1000}))
    for number in range(1000):
        monitor.track("card", features={"age": number, "new": "b"})
    drift = monitor.drift()
    assert [each.name for each in drift.columns] == ["age"]
    assert (drift.shifted, drift.absent) == ([], ["gone"])
    assert drift.unknown == ["prediction", "new"]
    assert "gone" in str(drift)


def test_a_reference_whose_column_changed_its_kind_is_compared_as_what_never_matches() -> None:
    monitor = Monitor("bot", reference=Reference.from_data({"age": np.arange(1000.0), "country": ["de"] * 1000}))
    for number in range(1000):
        monitor.track("card", features={"age": "old", "country": number})
    found = {each.name: each for each in monitor.drift().columns}
    assert found["country"].unseen == 1.0
    assert found["age"].missing == 1.0


def test_a_reference_of_a_newer_monitor_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    Reference.from_data({"age": [1.0]}).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match=r"reference\.json was written by a newer watchkeeper-monitor: upgrade"):
        Reference.load(path)


def test_empty_windows_have_no_figures_and_break_nothing() -> None:
    monitor = Monitor("bot", reference=Reference.from_data({"age": np.arange(100.0)}))
    assert monitor.drift().columns == []
    monitor.track_batch([], features={"age": []})
    monitor.track("card", features={})
    monitor.track("card", features={"age": None})
    said = monitor.summary()
    assert (said.predictions, said.quality.missing["age"].value) == (2, 1.0)
    assert said.quality.drift == []
    assert monitor.drift().absent == ["age"]


# The disk ------------------------------------------------------------------------------------------------------------


def test_a_spool_on_a_full_disk_keeps_pushes_in_memory_and_tells_what_it_let_go(small_disk: Path) -> None:  # noqa: F811
    """Nothing listens; the disk takes a few pushes, memory a few megabytes, and the oldest beyond are counted."""
    monitor = Monitor("bot", server="http://127.0.0.1:9", push_seconds=600, spool=small_disk)
    for number in range(40):
        monitor.track(f"class-{number}")
        monitor.track_batch([f"c{number}-{n}" for n in range(900)])
        monitor.push()
    told = monitor.pushed
    assert told is not None
    assert (told.taken, told.waiting + told.lost) == (0, 40)
    assert told.waiting >= 20
    assert not list(small_disk.rglob("*.part"))
    monitor.close()
    assert monitor.summary().predictions == 40 * 901


# All at once ---------------------------------------------------------------------------------------------------------


def test_threads_tasks_signals_and_forks_together_are_all_counted() -> None:
    said = run(
        """
        import asyncio, os, signal, sys, threading
        from watchkeeper_monitor import Monitor
        m = Monitor("bot")
        came = 0
        def handler(*_):
            global came
            came += 1
            m.label(m.track("signal", 0.5), "signal")
        signal.signal(signal.SIGALRM, handler)
        def thread(number):
            for n in range(20_000): m.track(f"thread-{number}", 0.5, segment="t" if n % 100 == 0 else None)
        async def task(child, number):
            for n in range(3_000):
                with m.timed(): m.track("task", id=f"{child}-{number}-{n}")
                m.label(f"{child}-{number}-{n}", "task")
                if n % 50 == 0: await asyncio.sleep(0)
        async def tasks(child): await asyncio.gather(*(task(child, number) for number in range(4)))
        threads = [threading.Thread(target=thread, args=(number,)) for number in range(3)]
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        for each in threads: each.start()
        children = []
        for child in range(3):                   # in the middle of all that
            pid = os.fork()
            if not pid:
                signal.setitimer(signal.ITIMER_REAL, 0)
                for _ in range(5): m.track("child")
                n = m.summary()
                os._exit(0 if n.classes.get("child") == 5 == n.predictions - n.classes.get("signal", 0) else 1)
            children.append(pid)
            asyncio.run(tasks(child))
        for each in threads: each.join()
        while came < 20: signal.pause()
        signal.setitimer(signal.ITIMER_REAL, 0)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        n = m.summary()
        expected = {"task": 36_000, "signal": came} | {f"thread-{number}": 20_000 for number in range(3)}
        print(codes, n.classes == expected or (n.classes, expected, n.quality.dropped), n.system.latency_count)
        labels = n.performance.accuracy_total.of + n.performance.labels_unknown
        print(labels == came + 36_000, n.segments["t"].predictions)
        """
    )
    assert said.splitlines() == ["[0, 0, 0] True 36000", "True 600"]


@pytest.mark.parametrize("how", ["SIGTERM", "sys.exit in a thread's midst", "an exception"])
def test_the_end_waits_for_no_server_that_hangs(how: str, tmp_path: Path) -> None:
    """One that takes connections and never answers: two seconds at most, and what was counted is on disk."""
    code = f"""
import os, signal, socket, sys, threading, time
hung = socket.create_server(("127.0.0.1", 0))
from watchkeeper_monitor import Monitor
m = Monitor("bot", server=f"http://127.0.0.1:{{hung.getsockname()[1]}}", push_seconds=600, spool={str(tmp_path)!r})
for n in range(500): m.track("card", 0.5)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
def forever():
    while True: m.track("thread")
threading.Thread(target=forever, daemon=True).start()
if {how!r} == "SIGTERM": os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)
if {how!r} == "an exception": raise ValueError("bye")
sys.exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == (1 if how == "an exception" else 0)
    assert "Fatal" not in done.stderr
    assert list(tmp_path.rglob("*-profiles-json-*"))


async def test_a_signal_during_an_await_is_counted_and_a_cancelled_task_is_no_prediction() -> None:
    monitor = Monitor("bot")

    @monitor.tracked()
    async def predict() -> str:
        await asyncio.sleep(3600)
        return "never"

    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, lambda: (monitor.track("signal"), came.set()))
    try:
        waiting = asyncio.create_task(predict())
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        await came.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
    said = monitor.summary()
    assert (said.classes, said.system.errors) == ({"signal": 1}, {})
