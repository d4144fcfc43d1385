#!/usr/bin/env python3
"""What the product itself costs when a language model plans, without the model's time; and how long until it is done
without one that hangs. The model is a script on loopback that answers at once: nothing is said of how one reasons.

Run it from the root: `.venv/bin/python -m benchmarks.llm_overhead`. It prints JSON.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time

from tests.llm.conftest import Around, answer, case, planner
from tests.llm.loopback import Loopback, Reply, always

from watchkeeper.decide.model.budget import estimated
from watchkeeper.store import Masker, Store

RUNS = 30
TIMEOUT = 1.0
"""Seconds after which a request that hangs is given up, here."""


async def measured() -> dict[str, float]:
    os.environ["TEST_GEMINI"] = "key-of-nobody"
    with tempfile.TemporaryDirectory() as folder:
        async with Store.open(f"sqlite+aiosqlite:///{folder}/w.db", Masker()) as store:
            took, prompts, first = [], [], 0.0
            async with Loopback(always(Reply(call=("hand_in", answer())))) as server:
                for run in range(RUNS + 1):
                    about, at = case()
                    began = time.perf_counter()
                    assert (await planner(store, server.url, Around(at)).plan(about, at)).plan is not None
                    seconds = time.perf_counter() - began
                    if run:
                        took.append(seconds)
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
        "decision_max_seconds": round(max(took), 3),
        "prompt_tokens_estimated": round(statistics.median(prompts)),
        "two_models_that_hang_seconds": round(late, 3),
        "timeout_seconds": TIMEOUT,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured()), indent=2))
