"""A command that does not exist names the one that was meant."""

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Run
from watchkeeper import __version__
from watchkeeper.cli.app import app


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["token", "make"], "Did you mean 'new'?"),
        (["tools", "run"], "Did you mean 'call'?"),
        (["token", "frob"], "There are: list, new, revoke."),
        (["stauts"], "Did you mean 'status'?"),
        (["heal"], "Did you mean 'fix'?"),
    ],
)
def test_a_command_that_does_not_exist_names_the_one_that_was_meant(typed: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, typed)
    assert answer.exit_code == 2
    assert said in " ".join(answer.output.split())


@pytest.mark.parametrize(
    ("typed", "usage"),
    [
        (["close"], "close --note WHY [OPTIONS] {INCIDENT}"),
        (["silence", "add"], "silence add --for TIME [OPTIONS]"),
        (["maintenance", "start"], "maintenance start --for TIME [OPTIONS]"),
        (["token", "new"], "token new --name NAME [OPTIONS]"),
        (["ack"], "ack [OPTIONS] {INCIDENT}"),
    ],
)
def test_the_usage_of_a_command_names_the_options_it_needs(typed: list[str], usage: str) -> None:
    for asked in ([*typed, "--help"], [*typed, "inc-1", "--frob"]):
        assert f"Usage: watchkeeper {usage}" in " ".join(CliRunner().invoke(app, asked).output.split())


def test_an_incident_is_not_ended_without_a_word() -> None:
    answer = CliRunner().invoke(app, ["close", "inc-1", "--note", " "])
    assert answer.exit_code == 2
    assert "say what was done" in " ".join(answer.output.split())


def test_the_version_is_said_wherever_it_is_asked_for(run: Run) -> None:
    assert run("--version").out == run("status", "--version").out == f"watchkeeper {__version__}\n"
