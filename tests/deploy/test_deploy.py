"""What is shipped to run it with is accepted by those who read it, and says what the code says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from watchkeeper.cli.rights import needed
from watchkeeper.connectors import Registry
from watchkeeper.hosts.proxy import nginx
from watchkeeper.settings import load_settings

DEPLOY = ROOT / "deploy"


def need(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return found


def checked(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_unit_is_accepted_by_systemd(tmp_path: Path) -> None:
    analyze = need("systemd-analyze", "systemd")
    text = (DEPLOY / "systemd" / "watchkeeper.service").read_text()
    here = str(Path(sys.executable).with_name("watchkeeper"))
    (tmp_path / "watchkeeper.service").write_text(text.replace("/opt/watchkeeper/bin/watchkeeper", here))
    assert checked(analyze, "verify", tmp_path / "watchkeeper.service").strip() == ""
    assert "Type=notify" in text
    assert "WatchdogSec=" in text


def test_the_alerts_fire_when_they_should() -> None:
    tool = need("promtool", "prometheus")
    assert "SUCCESS" in checked(tool, "check", "rules", DEPLOY / "prometheus" / "watchkeeper.rules.yml")
    assert "SUCCESS" in checked(tool, "test", "rules", DEPLOY / "prometheus" / "watchkeeper.test.yml")


def test_the_compose_file_is_valid_and_its_configuration_too() -> None:
    checked(need("docker-compose", "docker-compose"), "-f", DEPLOY / "compose" / "compose.yaml", "config", "-q")
    load_settings(DEPLOY / "compose" / "watchkeeper.yaml")


def test_the_proxy_beside_it_lets_through_what_is_printed() -> None:
    shipped = Registry([known for known in Registry.installed() if known.kind in ("container", "redis")])
    rights = [right for rights in needed(shipped, "act").values() for right in rights]
    text = nginx(rights, purpose="look and act", listen="2375")
    assert (DEPLOY / "compose" / "engine.conf").read_text() == text
