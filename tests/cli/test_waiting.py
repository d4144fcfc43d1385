"""Whoever follows a fix is told what is waited for."""

import io

import pytest
from rich.console import Console

from watchkeeper.cli.waiting import BEGINS, Waiting


def test_each_stage_says_once_what_it_waits_for_and_a_sign_of_life_for_how_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    waiting = Waiting(Console(file=out, width=200))
    waiting.begins(BEGINS)
    for kind in ("fix.started", "fix.step.acting", "fix.step.done", "fix.executed", "incident.verifying"):
        waiting.after(kind)
    waiting.still()
    monkeypatch.setattr("watchkeeper.cli.waiting.SOONEST", 0.0)
    waiting.still()
    said = out.getvalue().splitlines()
    assert said[:3] == [
        f"  … waits for {BEGINS}",
        "  … waits for the step to end",
        "  … waits for the proof: three good looks in a row, and then the probe",
    ]
    assert len(said) == 4
    assert said[3].startswith("  … still waits for the proof")
    assert said[3].endswith("so far")
