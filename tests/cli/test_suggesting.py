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


def test_the_version_is_said_wherever_it_is_asked_for(run: Run) -> None:
    assert run("--version").out == run("status", "--version").out == f"watchkeeper {__version__}\n"
