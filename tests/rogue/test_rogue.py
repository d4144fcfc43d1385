"""A connector that misbehaves is quarantined, named and told; the rest goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.flood import fill

from tests.conftest import RedisServer
from tests.crash.harness import Server

GRAVE = {"blocks", "spins", "raises", "garbage", "stubborn", "leaks", "endless"}


def quarantined(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: (event["kind"], event["subject"]) == ("connector.quarantined", name)


def test_every_rogue_is_quarantined_and_told_and_a_redis_beside_them_is_healed(
    server: Server, redis_server: RedisServer, tmp_path: Path
) -> None:
    server.start()
    told = {name: server.until(quarantined(name))["text"] for name in sorted(GRAVE)}
    assert "read blocked the event loop" in told["blocks"]
    known = {item["name"]: item for item in server.get("/api/connectors")["items"]}
    assert known["redis"]["standing"] == "good"
    assert known["redis"]["offences"] == {}

    status = server.get("/api/resources/status")
    for item in status["items"]:
        if item["kind"] in {*GRAVE, "nonsense"}:
            assert item["health"] == "UNKNOWN", item
            assert item["alerts"] == [], item
    assert "watchkeeper connectors release blocks" in status["problems"]["blocks"]
    assert "used_ratio is not a number (NaN)" in status["problems"]["nonsense"]

    for _ in range(3):
        said = server.post("/api/mcp/tools/hands_count", {"resource": "hands-one", "arguments": {}})
        assert said.status_code == 409, said.text
        assert "hands_count blocked everything" in said.text
    assert "hands_count blocked the event loop" in server.until(quarantined("hands"))["text"]

    fill(redis_server)
    healed = server.until(lambda event: event["kind"] == "incident.closed")
    assert "healed" in healed["text"]

    (tmp_path / "mended").write_text("blocks")
    assert server.post("/api/connectors/blocks/release", {}).json()["standing"] == "good"
    server.until(lambda event: event["kind"] == "connector.released" and event["subject"] == "blocks")
    assert server.get("/api/resources/blocks-one")["health"] in ("HEALTHY", "UNKNOWN")
