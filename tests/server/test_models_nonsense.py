"""What no monitor sends is refused with the reason, and nothing of it is counted."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.server.test_models import PATIENCE, content


def changed(path: str, value: Any) -> dict[str, Any]:
    made = json.loads(json.dumps(content("odd", 2)))
    *parts, last = path.split(".")
    within = made["profile"]
    for part in parts:
        within = within[part]
    within[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model", "another"),
        ("predictions", -1),
        ("predictions", 1e400),
        ("predictions", "many"),
        ("began", float("nan")),
        ("classes.limit", 10**9),
        ("classes.kept", {str(number): 1 for number in range(20_000)}),
        ("classes.kept", {"x" * 10_000_000: 1}),
        ("classes.other", float("inf")),
        ("latency.positive.total", float("nan")),
        ("latency.positive.buckets", {"999999": 1}),
        ("latency.positive.count", 5),
        ("confidence.bins", {"201": 1}),
        ("truth.correct", 5),
        ("truth.confusion.kept", {"card": 1}),
        ("truth.calibration", []),
        ("categories", {"country": {"limit": 10**9, "kept": {}, "other": 0}}),
        ("numbers", {str(number): {} for number in range(300)}),
        ("truth", None),
    ],
)
async def test_nonsense_is_refused_with_the_reason(path: str, value: Any, operator: httpx.AsyncClient) -> None:
    said = json.dumps(changed(path, value))
    headers = {"Watchkeeper-Process": "0" * 32, "Watchkeeper-Sequence": "1", "Content-Type": "application/json"}

    answer = await operator.post("/api/models/odd/profiles", content=said, headers=headers)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await operator.get("/api/models/odd")).status_code == 404


async def test_sixteen_megabytes_are_the_most_and_one_elsewhere(operator: httpx.AsyncClient) -> None:
    """Refused by what is announced, before any of it is sent."""

    async def answered(path: str, size: int) -> int:
        url = operator.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(PATIENCE):
            line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    assert await answered("/api/models/large/profiles", (16 << 20) + 1) == 413
    assert await answered("/api/tokens", (1 << 20) + 1) == 413
    headers = {"Watchkeeper-Process": "0" * 32, "Watchkeeper-Sequence": "1"}
    taken = await operator.post("/api/models/large/profiles", content=b"x" * (2 << 20), headers=headers)
    assert taken.status_code == 422
