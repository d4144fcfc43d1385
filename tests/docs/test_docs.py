"""What the documentation shows, works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.conftest import Homes
from tests.docs.pages import PAGES, ROOT, SHELL, Block, blocks, of
from tests.typed import typed
from watchkeeper.cli.app import own_commands
from watchkeeper.connectors import Registry
from watchkeeper.connectors.definitions import parse_rules, parse_runbook
from watchkeeper.decide import Policy
from watchkeeper.server.app import access
from watchkeeper.settings import PolicySettings, load_settings
from watchkeeper.settings.server import LimitsSettings

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<to>[^)\s]+)\)")


def titled(*titles: str) -> list[Block]:
    return [block for block in of("yaml") if block.text.split("\n", 1)[0] in titles]


def runs(block: Block) -> bool:
    return block.language in SHELL and not block.not_run and not block.needs_docker


def ids(found: list[Block]) -> list[str]:
    return [block.where for block in found]


# Commands ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(runs(block) for block in blocks(page))],
    ids=lambda page: page.name,
)
def test_every_command_of_a_page_can_be_typed(page: Path, homes: Homes) -> None:
    found = [(block, command) for block in blocks(page) if runs(block) for command in block.commands]
    new = [(block, command) for block, command in found if bare(command) not in homes.typed]
    if any("curl" in command for _, command in new) and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    there = homes.for_([command for _, command in new]) if new else None
    for block, command in new:
        assert there is not None
        done = there.run(command)
        assert done.returncode == block.exit_code, f"{block.where}: {command}\n{done.stdout}\n{done.stderr}"
        homes.typed.add(bare(command))


def bare(command: str) -> str:
    """Without the comment behind it."""
    return re.sub(r"\s+# .*$", "", command)


@pytest.mark.lab
def test_every_command_that_needs_docker_can_be_typed() -> None:
    """In a lab of its own, which is taken down at the end."""
    own = f"--name docs-{os.getpid()}"
    with typed() as commands:
        path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"

        def run(command: str) -> subprocess.CompletedProcess[str]:
            line = re.sub(r"^(watchkeeper lab (?!faults)\w+)", rf"\1 {own}", command)
            return subprocess.run(["bash", "-c", line], env=os.environ | {"PATH": path}, capture_output=True, text=True)

        try:
            for block in of(*SHELL):
                for command in block.commands if block.needs_docker else ():
                    done = run(command)
                    said = f"{block.where}: {command}\n{done.stdout}\n{done.stderr}"
                    assert done.returncode == block.exit_code, said
        finally:
            run("watchkeeper lab down")


def test_what_is_not_run_says_why() -> None:
    for block in of(*SHELL):
        assert block.commands, f"{block.where} holds no command"
        if block.note.startswith("not run:"):
            assert len(block.not_run) > 10, f"{block.where} does not say why it is not run"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_named_in_the_text_exists(page: Path) -> None:
    """Also in prose and in output that is only shown: `watchkeeper NAME` names a command."""
    known = {*own_commands(), "lab", "bench", "demo"}
    named = set(re.findall(r"(?:[`$] ?|\.venv/bin/)watchkeeper ([a-z]+)", page.read_text()))

    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_make_target_named_in_the_text_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`make ([a-z]+)`|^\$ make ([a-z]+)", page.read_text(), re.MULTILINE)) <= {
        pair for name in known for pair in ((name, ""), ("", name))
    }


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", titled("# watchkeeper.yaml"), ids=ids(titled("# watchkeeper.yaml")))
def test_configuration_that_is_shown_is_valid(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "watchkeeper.yaml"
    path.write_text(block.text)

    load_settings(path)


@pytest.mark.parametrize("block", titled("# rules.yaml"), ids=ids(titled("# rules.yaml")))
def test_rules_that_are_shown_are_valid(block: Block) -> None:
    connector = Registry.installed().kind("redis")

    assert parse_rules(block.text, kind="redis", sample=connector.sample, where=block.where)


@pytest.mark.parametrize("block", of("markdown"), ids=ids(of("markdown")))
def test_runbooks_that_are_shown_are_valid(block: Block) -> None:
    connector = Registry.installed().kind("redis")

    assert parse_runbook(block.text, name="shown", kind="redis", sample=connector.sample, tools=connector.tools).page


@pytest.mark.parametrize("block", of("cedar"), ids=ids(of("cedar")))
def test_cedar_that_is_shown_validates(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "own.cedar"
    path.write_text(block.text)

    Policy(PolicySettings(cedar=path), "auto")


@pytest.mark.parametrize("block", of("cedar-access"), ids=ids(of("cedar-access")))
def test_policies_of_access_that_are_shown_validate(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "access.cedar"
    path.write_text(block.text)

    assert access(path)


@pytest.mark.parametrize("block", of("python"), ids=ids(of("python")))
def test_python_that_is_shown_compiles(block: Block) -> None:
    compile(block.text, block.where, "exec")


YAML = ("# watchkeeper.yaml\n", "# rules.yaml\n", "# compose.yaml\n", "# alertmanager.yml\n")


def test_other_yaml_is_yaml_and_says_what_it_is() -> None:
    for block in of("yaml"):
        assert block.text.startswith(YAML), block.where
        yaml.safe_load(block.text)


# Words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for to in _LINK.findall(page.read_text()):
        if "://" in to:
            continue
        path, _, anchor = to.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {to}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {to}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_test_that_a_page_points_to_exists(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/.-]+?\.py)(?:::(\w+))?`", page.read_text()):
        assert (ROOT / path).exists(), f"{page.name} names {path}"
        if name:
            assert f"def {name}(" in (ROOT / path).read_text(), f"{page.name} names {path}::{name}"


def test_every_setting_is_described() -> None:
    """docs/configuration.md has a row for each field there is."""
    from watchkeeper import settings
    from watchkeeper.settings.notify import FlappingSettings

    text = (ROOT / "docs" / "configuration.md").read_text()
    parts = {
        "": settings.Settings,
        "server.": settings.ServerSettings,
        "server.limits.": LimitsSettings,
        "watch.": settings.WatchSettings,
        "mcp.": settings.McpSettings,
        "llm.": settings.LlmSettings,
        "predictions.": settings.PredictionsSettings,
        "healers.": settings.HealersSettings,
        "policy.": settings.PolicySettings,
        "notify.webhook.": settings.WebhookSettings,
        "notify.heartbeat.": settings.HeartbeatSettings,
        "notify.flapping.": FlappingSettings,
    }
    missing = [
        f"{prefix}{field.alias or name}"
        for prefix, model in parts.items()
        for name, field in model.model_fields.items()
        if name not in ("server", "watch", "policy", "notify", "mcp", "healers", "ingest", "predictions", "limits")
        and f"| `{prefix}{field.alias or name}`" not in text
    ]
    for model in (
        settings.ResourceSettings,
        settings.RuleOverride,
        settings.MaintenanceSettings,
        settings.SourceSettings,
    ):
        missing += [
            field.alias or name
            for name, field in model.model_fields.items()
            if f"| `{field.alias or name}`" not in text
        ]

    assert missing == []


def test_every_path_of_the_api_is_described() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    sources = (ROOT / "src" / "watchkeeper" / "server").glob("*.py")
    prefixes = {
        "resources": "/api/resources",
        "map": "/api/resources",
        "incidents": "/api",
        "deciding": "/api",
        "acts": "/api",
        "chain": "/api",
        "llm": "/api/llm",
        "evaluation": "/api",
        "lab": "/api",
        "modes": "/api",
        "tools": "/api",
        "still": "/api",
        "silences": "/api",
        "ingest": "/api",
        "notify": "/api/notify",
        "slack": "/api/notify",
        "reports": "/api",
        "system": "",
    }
    paths = {
        prefixes[source.stem] + path
        for source in sources
        if source.stem in prefixes
        for path in re.findall(r'@router\.(?:get|post|put|delete)\("([^"]*)"', source.read_text())
    }

    assert paths
    assert {path for path in paths if f"`{path}`" not in text and f" {path}`" not in text} == set()


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference", "--check"], capture_output=True, text=True, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr
