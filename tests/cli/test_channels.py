"""What `check` and `doctor` say of the channels by which people are told."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from watchkeeper.cli.channels import channels
from watchkeeper.cli.options import Options
from watchkeeper.settings import Settings

NOWHERE = "http://127.0.0.1:1"


def test_check_says_where_buttons_will_be_missing(run: Run, tmp_path: Path) -> None:
    people = "signing_secret: env:S, people: {U1: {name: ada, role: approver}}"
    channel = f"notify: {{channels: [{{name: shop, kind: slack, token: env:T, channel: C1, {people}}}]}}"
    (tmp_path / "watchkeeper.yaml").write_text(channel)
    said = run("check")
    (tmp_path / "watchkeeper.yaml").write_text(f"{channel}\nserver: {{public_url: 'https://wk.example.com'}}")

    assert (said.code, "▲ notify.channels, shop: its messages have no buttons" in said.out) == (0, True)
    assert "have no buttons" not in run("check").out


def test_doctor_tells_which_channels_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PD", "0123456789abcdef0123456789abcdef")
    away = {"name": "oncall", "kind": "pagerduty", "key": "env:PD", "url": "http://127.0.0.1:1/v2/enqueue"}
    unset = {"name": "phone", "kind": "webhook", "url": "env:NO_SUCH_VARIABLE"}
    settings = Settings(data=tmp_path, notify={"channels": [away, unset]})

    found = [(one.state, one.found) for one in channels(settings, Options(url=NOWHERE, data=tmp_path))]
    assert found == [
        ("missing", "oncall (pagerduty): nobody can be reached there"),
        ("missing", "phone (webhook): The environment variable NO_SUCH_VARIABLE is not set."),
    ]
