"""Fixtures for tests that need a running lab: import `lab` and `healthy_lab` in a `conftest.py`.

`lab` starts one lab for the whole session and takes it down at its end; `healthy_lab` is the same lab, reset before
each test. However many `conftest.py` files import them, there is one lab.
"""

import os
from collections.abc import AsyncGenerator

import pytest_asyncio

from watchkeeper_lab.lab import Lab

_running: list[Lab] = []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab() -> AsyncGenerator[Lab]:
    """A lab of this test session's own, shared by all of its tests."""
    if _running:
        yield _running[0]
        return
    async with Lab.running(f"test-{os.getpid()}") as started:
        _running.append(started)
        try:
            yield started
        finally:
            _running.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def healthy_lab(lab: Lab) -> Lab:
    """The session's lab, healthy at the start of each test."""
    await lab.ready()
    return lab
