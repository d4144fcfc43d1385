"""Records where there is no room for them, or nothing that could keep them."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.disk import small_disk  # noqa: F401  (a fixture)
from tests.server.test_model_rows import numbered, records, send
from watchkeeper.predictions import arrow
from watchkeeper.server import Runtime


async def test_without_pyarrow_profiles_are_taken_and_rows_say_what_to_install(
    operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow.part.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    try:
        answers = [
            await send(operator, "bare", "records", records(1)),
            await send(operator, "bare", "labels", [{"id": "r0", "label": "card"}]),
            await operator.get("/api/models/bare/records"),
        ]
        assert {answer.status_code for answer in answers} == {501}
        assert all("watchkeeper[models]" in answer.json()["next"] for answer in answers)
        assert (await operator.get("/api/models")).status_code == 200
    finally:
        arrow.part.cache_clear()


@pytest.fixture
async def on_small_disk(runtime: Runtime, small_disk: Path) -> AsyncIterator[None]:  # noqa: F811
    shelf = runtime.predictions.records.shelf
    folder, shelf.folder = shelf.folder, small_disk
    yield
    shelf.folder = folder


@pytest.mark.usefixtures("on_small_disk")
async def test_a_full_disk_is_told_and_nothing_that_was_written_suffers(operator: httpx.AsyncClient) -> None:
    """The push is to come again: 507; what fits after that is taken."""
    rows = [{"id": os.urandom(24).hex(), "text": os.urandom(40).hex()} for _ in range(3000)]
    assert (await send(operator, "no-room", "records", records(5))).status_code == 200

    refused = await send(operator, "no-room", "records", rows, **numbered("no-room", 1))
    taken = await send(operator, "no-room", "records", rows[:10], **numbered("no-room", 1))

    assert refused.status_code == 507
    assert "No space left" in refused.json()["detail"]
    assert taken.json()["rows"] == 10
    told = (await operator.get("/api/models/no-room")).json()
    assert told["refused"] >= 1
    assert len((await operator.get("/api/models/no-room/records")).json()["items"]) == 15
