"""The API is what it says of itself: generated requests, right and wrong ones, against a server of its own, and a
generated client."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.cli.conftest import Up, running
from tests.conftest import start_redis

EXAMPLES = int(os.environ.get("WATCHKEEPER_API_EXAMPLES", "2"))
"""Requests of each kind to each operation; more by hand (CONTRIBUTING.md)."""
MEANT: dict[str, str] = {
    "positive_data_acceptance": "what is well formed may still name what is not there (404) or not be due (409)",
    "negative_data_rejection": "what is not asked for in a query is let pass, and a path takes any text",
    "unsupported_method": "asked by tests/server/test_door.py",
    "ignored_auth": "who may is asked by tests/server/test_tokens.py: from this machine looking needs no token",
    "missing_required_header": "no header is required of what may be looked at from this machine",
}
"""Checks left out, and why: printed."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("openapi")
    memory = start_redis(folder)
    (folder / "watchkeeper.yaml").write_text(
        "watch: {interval: 1}\n"
        f'resources: [{{name: cache, kind: redis, url: "redis://127.0.0.1:{memory.port}", environment: lab}}]\n'
        "only: [cache]\n"
        "server: {limits: {changes_per_minute: 1000000}}\n"
    )
    with running(folder / "data") as server:
        server.until_line("What happens from here on")
        yield server
    memory.stop()
    assert memory.process.stdout is not None
    memory.process.stdout.close()


@pytest.fixture(scope="module")
def described(up: Up) -> dict[str, Any]:
    return httpx.get(f"http://127.0.0.1:{up.port}/openapi.json", timeout=60, trust_env=False).json()


def operations(described: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{m.upper()} {path}", op) for path, methods in described["paths"].items() for m, op in methods.items()]


def test_the_description_is_valid_openapi(described: dict[str, Any]) -> None:
    validate(described)


def test_no_two_schemas_have_the_same_name(described: dict[str, Any]) -> None:
    """Two classes of one name are told apart by their modules, which are nobody's business."""
    assert [name for name in described["components"]["schemas"] if name.startswith("watchkeeper__")] == []


def test_every_operation_says_all_that_a_typed_client_needs(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(described)]
    assert len(names) == len(set(names))
    for where, operation in operations(described):
        assert operation["operationId"].replace("_", "").isalpha(), where
        assert operation["tags"], where
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["security"], where
        for status, answer in operation["responses"].items():
            assert answer["description"], (where, status)
            for media, content in answer.get("content", {}).items():
                assert content.get("schema"), (where, status, media)
                assert status.startswith("2") or media == "application/problem+json" or "z" in where, (where, status)
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert any(answer.get("content") for answer in good), where


TABLES = "application/vnd.apache.arrow.stream"
"""Bytes to this generator, which knows JSON, forms and bytes."""


def test_a_typed_client_is_generated_from_it_and_works(
    up: Up, described: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation and every schema: what the generator could not use would be a warning, and fail."""
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    settings = {"content_type_overrides": {TABLES: "application/octet-stream"}, "post_hooks": []}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    given = ["--path", "openapi.json", "--config", "settings.json", "--meta", "none", "--output-path", "keeper"]
    command = [sys.executable, "-m", "openapi_python_client", "generate", *given, "--fail-on-warning"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    functions = {path.stem for path in (tmp_path / "keeper" / "api").glob("*/*.py")} - {"__init__"}
    assert len(functions) == len(operations(described))

    monkeypatch.syspath_prepend(str(tmp_path))
    keeper = importlib.import_module("keeper")
    models = importlib.import_module("keeper.models")

    def of(function: str) -> Any:
        return importlib.import_module(f"keeper.api.{function}").sync

    token = (up.data / "token").read_text().strip()
    base, of_httpx = f"http://127.0.0.1:{up.port}", {"trust_env": False}
    with keeper.Client(base_url=base, timeout=60, httpx_args=of_httpx) as anybody:
        page = of("resources.list_resources")(client=anybody, limit=10)
        assert [(one.slug, one.environment) for one in page.items] == [("cache", "lab")]
        shown = of("resources.show_resource")("cache", client=anybody)
        assert isinstance(shown.health, models.Health)
        assert shown.reading.metrics["used_memory_bytes"] > 0
        missing = of("resources.show_resource")("cash", client=anybody)
        assert isinstance(missing, models.Problem)
        assert "cache" in missing.detail
    with keeper.AuthenticatedClient(base_url=base, token=token, timeout=60, httpx_args=of_httpx) as operator:
        body = models.CallTool.from_dict({"resource": "cache", "arguments": {"section": "memory"}})
        done = of("tools.call_tool")("redis_info", client=operator, body=body)
        assert (done.status, int(done.output["maxmemory"])) == ("done", 0)


def said(problem: BaseException) -> str:
    inner = problem.exceptions if isinstance(problem, BaseExceptionGroup) else ()
    return "\n".join([str(problem), *map(said, inner)])


def test_the_api_keeps_what_its_description_promises(up: Up, described: dict[str, Any]) -> None:
    """No answer of 500, none that is not described, whatever is asked."""
    base, token = f"http://127.0.0.1:{up.port}", (up.data / "token").read_text().strip()
    schemathesis.checks.load_all_checks()
    left_out = [check for name in MEANT for check in schemathesis.checks.CHECKS.get_by_names([name])]
    for name, why in MEANT.items():
        print(f"left out: {name}: {why}")
    found: list[str] = []
    asked = 0
    steady = settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with requests.Session() as session:
        session.trust_env = False
        for result in schemathesis.openapi.from_dict(described).get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            wrong = operation.body or operation.query  # a path takes any text
            for mode in GenerationMode if wrong else (GenerationMode.POSITIVE,):

                @steady
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case: Any) -> None:
                    nonlocal asked
                    if case.path == "/api/live":  # else it goes on for ever
                        case.query = {**(case.query or {}), "follow": "false"}
                    if case.path in ("/api/events", "/api/logs"):
                        case.headers = {**(case.headers or {}), "Accept": "application/json"}
                    asked += 1
                    answer = case.call(base, session, headers={"Authorization": f"Bearer {token}"}, timeout=60)
                    case.validate_response(answer, excluded_checks=left_out)

                try:
                    ask()
                except (Exception, BaseExceptionGroup) as problem:
                    if "Unsatisfiable" not in type(problem).__name__:  # nothing is wrong for what takes nothing
                        found.append(f"{operation.label} ({mode.value}): {said(problem)}")
    print(f"{asked} requests")
    assert found == [], "\n\n".join(found)
    assert asked > 100
    assert httpx.get(f"{base}/healthz", timeout=60, trust_env=False).status_code == 200
