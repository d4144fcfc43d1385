"""Very many resources at once: all are looked at, nothing is made up, the one that fails is healed."""

from pathlib import Path

from benchmarks.many import run

NUMBER = 600  # more than what is looked at as often as is wanted whatever it costs


def test_among_many_resources_that_are_well_the_one_that_fails_is_healed(tmp_path: Path) -> None:
    row = run(tmp_path, NUMBER)
    assert [title for title in row["false_incidents"] if not title.endswith(" on victim")] == []
    assert "healed" in row["outcome"]
    assert row["listed"] == NUMBER + 1
    assert f"{NUMBER + 1 - 100:,} more" in row["table_says"]
    assert row["table_lines"] < 200, "of the rest it is said how many they are"
