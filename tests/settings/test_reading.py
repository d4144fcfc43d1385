"""What is wrong in the file is told all at once, by the names and the lines that its writer knows."""

from pathlib import Path

import pytest

from watchkeeper.domain import ConfigurationError
from watchkeeper.settings import Faulty, load_settings

WRONG = """\
mode: autoo
resources:
  - name: cache
    kind: redis
    url: redis://:hunter22@x
    acts: true
  - {name: orders, url: 3}
  - name: fine
    kind: redis
checks:
  - {name: web, http: "http://x"}
  - {name: web, http: "http://y"}
  - http: 5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "watchkeeper.yaml"
    made.write_text(WRONG)
    return made


def test_everything_that_is_wrong_is_told_at_once_by_name_and_line(file: Path) -> None:
    with pytest.raises(Faulty) as raised:
        load_settings(file)
    said = raised.value.what.splitlines()
    assert said[0] == f"{file}: 7 things are wrong:"
    assert [line.strip().partition(": ")[0] for line in said[1:]] == [f"line {n}" for n in (1, 5, 6, 7, 10, 13, 13)]
    assert said[2].startswith("  line 5: resources, cache: `url`: credentials are references")
    assert said[3] == "  line 6: resources, cache: unknown key `acts` (did you mean `act`?)"
    assert "resources, orders: `url`" in said[4]
    assert said[5] == "  line 10: `checks`: the name web is there twice"  # noticed only once the rest is right
    assert "checks, number 3: `name`: field required" in raised.value.what
    assert "hunter22" not in str(raised.value)
    rest = raised.value.rest
    assert rest is not None
    assert [one.name for one in rest.resources] == ["fine"]


def test_one_thing_that_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "watchkeeper.yaml"
    file.write_text("mode: auto\npolicy:\n  cooldown: -3\n")
    with pytest.raises(ConfigurationError) as raised:
        load_settings(file)
    assert raised.value.what == f"{file}:3: `policy.cooldown`: input should be greater than or equal to 0."


def test_a_key_that_is_there_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "watchkeeper.yaml"
    file.write_text("mode: auto\npolicy:\n  cooldown: 3\nmode: observe\n")
    with pytest.raises(ConfigurationError) as raised:
        load_settings(file)
    assert raised.value.what == f"{file}:4: `mode` is there twice, in lines 1 and 4."

    file.write_text(
        "resources:\n- {name: a, act: true, act: false}\n- name: b\n  kind: redis\n  kind: nginx\nresources: []\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        load_settings(file)
    assert raised.value.what.splitlines() == [
        f"{file}: 3 keys are there twice:",
        "  `act` is there twice, in line 2",
        "  `kind` is there twice, in lines 4 and 5",
        "  `resources` is there twice, in lines 1 and 6",
    ]


def test_what_is_merged_from_elsewhere_may_be_said_anew(tmp_path: Path) -> None:
    file = tmp_path / "watchkeeper.yaml"
    file.write_text("resources:\n- &a {name: a, kind: redis, act: true}\n- {<<: *a, name: b}\n- {<<: *a, name: c}\n")
    assert [one.name for one in load_settings(file).resources] == ["a", "b", "c"]
