#!/usr/bin/env python3
"""What the product itself costs when a language model plans or answers a question, without the model's time; and how
long until it is done without one that hangs. The model is a script on loopback that answers at once: nothing is said of
how one reasons. A question is asked over the API of a Watchkeeper beside a real Redis; three look-ups, then the answer.

Run it from the root: `.venv/bin/python -m benchmarks.llm_overhead`. It prints JSON.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.llm.conftest import Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, always
from tests.llm.test_chat import QUIET, asked, curious, served
from tests.llm.test_in_the_loop import filled, up

from watchkeeper.decide.model.budget import estimated
from watchkeeper.store import Masker, Store

RUNS = 30
TIMEOUT = 1.0
"""Seconds after which a request that hangs is given up, here."""


async def questions() -> dict[str, float]:
    """CPU is that of the whole process, which also plays the model and the client, and goes on looking at Redis."""
    os.environ |= {"DOCKER_HOST": "unix:///nonexistent", "TEST_GEMINI": "key-of-nobody"}
    took, cpu, first = [], [], []
    with tempfile.TemporaryDirectory() as folder, filled(Path(folder), 16, 14200) as redis:
        async with Loopback(always(Reply(text="x"))) as model, up(Path(folder), redis, model.url, **QUIET) as runtime:
            await runtime.watch.first_looks()
            async with served(runtime) as client:
                for run in range(RUNS + 1):
                    model.requests.clear()
                    model.script = curious("It was full [R1].")
                    began, busy = time.perf_counter(), time.process_time()
                    (*_, (kind, _)) = await asked(client, "why was the cache slow?")
                    assert kind == "done"
                    if run:
                        took.append(time.perf_counter() - began)
                        cpu.append(time.process_time() - busy)
                        first.append(estimated(json.dumps(model.requests[0].body, ensure_ascii=False)))
            last = estimated(json.dumps(model.requests[-1].body, ensure_ascii=False))
    return {
        "question_p50_seconds": round(statistics.median(took), 3),
        "question_max_seconds": round(max(took), 3),
        "question_cpu_p50_seconds": round(statistics.median(cpu), 3),
        "question_first_prompt_tokens_estimated": round(statistics.median(first)),
        "question_last_prompt_tokens_estimated": last,
        "question_requests": len(model.requests),
    }


async def measured() -> dict[str, float]:
    os.environ["TEST_GEMINI"] = "key-of-nobody"
    with tempfile.TemporaryDirectory() as folder:
        async with Store.open(f"sqlite+aiosqlite:///{folder}/w.db", Masker()) as store:
            took, cpu, prompts, first = [], [], [], 0.0
            async with Loopback(always(Reply(call=("hand_in", answer())))) as server:
                for run in range(RUNS + 1):
                    about, at = case()
                    asks = planner(store, server.url, Around(at))
                    if not run:
                        await asks.load()  # as at the start of `up`
                    began, busy = time.perf_counter(), time.process_time()
                    assert (await asks.plan(about, at)).plan is not None
                    seconds = time.perf_counter() - began
                    if run:
                        took.append(seconds)
                        cpu.append(time.process_time() - busy)
                    else:
                        first = seconds
                prompts = [estimated(json.dumps(one.body, ensure_ascii=False)) for one in server.requests]
            async with Loopback(always(Reply(delay=3600))) as server:
                about, at = case()
                began = time.perf_counter()
                assert (await planner(store, server.url, Around(at), timeout=TIMEOUT).plan(about, at)).plan is None
                late = time.perf_counter() - began
    return {
        "first_decision_seconds": round(first, 3),
        "decision_p50_seconds": round(statistics.median(took), 3),
        "decision_cpu_p50_seconds": round(statistics.median(cpu), 3),
        "decision_max_seconds": round(max(took), 3),
        "prompt_tokens_estimated": round(statistics.median(prompts)),
        "two_models_that_hang_seconds": round(late, 3),
        "timeout_seconds": TIMEOUT,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured()) | asyncio.run(questions()), indent=2))
