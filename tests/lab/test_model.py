"""The benchmark with a language model in the planner's seat: everything but the model is there."""

from pathlib import Path

import pytest
import yaml

from watchkeeper.settings import Settings
from watchkeeper_lab.bench.model import configured, said, said_in
from watchkeeper_lab.bench.scripted import hand_in
from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.scenario import scenario


def test_the_model_that_the_configuration_names_plans_alone(tmp_path: Path) -> None:
    path = tmp_path / "watchkeeper.yaml"
    path.write_text("mode: observe\nllm:\n  models: [{name: 'openai:local', url: 'http://127.0.0.1:9/v1'}]\n")
    made = Settings(**yaml.safe_load(configured("mode: auto\nonly: [x]", said_in(path))))
    assert (made.mode, made.planner, made.only) == ("auto", "model", ["x"])
    assert made.llm is not None
    assert (made.llm.then, made.llm.models[0].name) == ("person", "openai:local")


@pytest.mark.parametrize("content", ["mode: auto\n", "llm: yes\n", "- a list\n", "a: [\n"])
def test_without_one_it_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "watchkeeper.yaml").write_text(content)
    with pytest.raises(BadInputError, match=r"No language model is named") as told:
        said_in(tmp_path / "watchkeeper.yaml")
    assert "BENCH_MODEL" in told.value.hint


def test_two_variables_name_a_model_and_where_it_answers_and_a_third_its_key(tmp_path: Path) -> None:
    there = {"BENCH_MODEL": "openai:local", "BENCH_MODEL_URL": "http://127.0.0.1:9/v1"}
    made = Settings(**yaml.safe_load(configured("", said(there, tmp_path / "absent.yaml"), "auto")))
    assert made.llm is not None
    one = made.llm.models[0]
    assert (made.planner, one.name, one.url, one.reference) == ("auto", "openai:local", "http://127.0.0.1:9/v1", None)
    keyed = said({**there, "BENCH_MODEL_KEY": "sk-secret"})
    assert "sk-secret" not in configured("", keyed)
    assert keyed["models"][0]["key"] == "env:BENCH_MODEL_KEY"
    with pytest.raises(BadInputError, match="BENCH_MODEL is not"):
        said({"BENCH_MODEL_URL": "http://127.0.0.1:9/v1"})


@pytest.mark.parametrize("end", ["", "\n\nFix the errors and try again.", '"}', "\\n- evidence: none"])
def test_a_script_adds_what_it_was_told_to_have_forgotten(end: str) -> None:
    shown = f"redis: redis, lab, FAILED\n[A1] x\naccounts_for: you say nothing about them: shop, shop-2.{end}"
    name, said = hand_in(scenario("redis-busy-script"), shown)
    assert (name, said["root"], said["accounts_for"]) == ("hand_in", "redis", ["shop", "shop-2"])
