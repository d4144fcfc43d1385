"""What a replay asks: real questions, shifted as was said and no more, the same for the same seed."""

import random
from collections import Counter

import pytest

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.support_bot.questions import held_out, intents, questions
from watchkeeper_lab.support_bot.shifts import SHIFTS, Ask, Order, misspelt, planned

REAL = {one.text: one.intent for one in questions("test")}


def asked(*shifts: str, number: int = 400, **more: float) -> list[Ask]:
    return planned(Order(shifts or ("none",), number, **more))


def test_the_data_are_those_of_the_paper() -> None:
    assert (len(questions("train")), len(questions("test")), len(intents())) == (10_003, 3_080, 77)
    assert len(held_out()) == 7


def test_without_a_shift_customers_ask_what_the_bot_may_know_but_never_saw() -> None:
    learnt = {one.text for one in questions("train")}
    for ask in asked():
        assert REAL[ask.text] == ask.truth
        assert ask.truth not in held_out()
        assert ask.text not in learnt
        assert not ask.shifted


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_same_seed_asks_the_same_and_another_seed_something_else(shift: str) -> None:
    assert asked(shift, number=50, seed=3) == asked(shift, number=50, seed=3)
    assert asked(shift, number=50, seed=3) != asked(shift, number=50, seed=4)


def test_questions_come_at_their_rate() -> None:
    made = asked(number=30, rate=10)
    assert [round(ask.at, 6) for ask in made] == [round(number / 10, 6) for number in range(30)]
    assert len({ask.id for ask in made}) == 30


def test_unseen_intents_are_those_that_were_held_out() -> None:
    assert {ask.truth for ask in asked("unseen-intents")} == held_out()


def test_a_share_of_the_questions_is_shifted_and_the_others_are_as_they_were() -> None:
    made = asked("unseen-intents", share=0.3)
    shifted = [ask for ask in made if ask.shifted]
    assert 0.2 < len(shifted) / len(made) < 0.4
    assert all((ask.truth in held_out()) == ask.shifted for ask in made)


def test_truncated_questions_keep_their_first_words_and_their_meaning() -> None:
    for ask in asked("truncated"):
        assert 1 <= len(ask.text.split()) <= 4
        assert any(
            text.split()[: len(ask.text.split())] == ask.text.split() for text, of in REAL.items() if of == ask.truth
        )


def test_misspelt_questions_keep_their_words_but_not_their_letters() -> None:
    text = "I am still waiting for my card to arrive"
    slips = [misspelt(text, random.Random(seed)) for seed in range(50)]
    assert all(len(slip.split()) == len(text.split()) for slip in slips)
    assert all(slip.split()[:2] == ["I", "am"] for slip in slips)
    assert sum(slip != text for slip in slips) > 45


def test_drifting_shares_go_from_all_intents_to_a_few() -> None:
    made = asked("drifting-shares", number=2000)
    first, last = Counter(ask.truth for ask in made[:400]), Counter(ask.truth for ask in made[-400:])
    assert sum(times for _, times in first.most_common(5)) / 400 < 0.35
    assert sum(times for _, times in last.most_common(5)) / 400 > 0.75


@pytest.mark.parametrize(
    ("shift", "when"), [("none", {"soon", "never"}), ("late-labels", {"late", "never"}), ("no-labels", {"never"})]
)
def test_labels_come_soon_late_or_never(shift: str, when: set[str]) -> None:
    made = asked(shift, labels=0.5)
    assert {ask.label for ask in made} == when
    told = sum(ask.label != "never" for ask in made) / len(made)
    assert told == 0 if shift == "no-labels" else 0.4 < told < 0.6


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shifts": ("truncate",)}, "Did you mean `truncated`"),
        ({"share": 1.5}, "0 to 1"),
        ({"labels": -0.1}, "0 to 1"),
        ({"number": 0}, "at least one"),
        ({"rate": 0}, "at least one"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_asked(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        Order(**wrong)  # type: ignore[arg-type]
