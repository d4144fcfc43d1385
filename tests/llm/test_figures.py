"""A figure that stands in nothing which its sentence cites is told to whoever reads the answer."""

import pytest

from watchkeeper.decide.model import Stands
from watchkeeper.decide.model.figures import doubts

KNOWN = {
    "R1": Stands({"used_memory_ratio": 0.9712, "used_memory_bytes": 15_900_123.0, "blocked_clients": 3.0}, "answers"),
    "R2": Stands({"used_memory_ratio": 0.4512, "used_memory_bytes": 7_400_000.0, "latency_seconds": 0.0123}),
    "L1": Stands(text="OOM command not allowed when used memory > 'maxmemory', 14,212 keys, pid 4711"),
}


@pytest.mark.parametrize(
    "said",
    [
        "It was 97 % full [R1].",
        "It was 97.1% full [R1].",
        "used_memory_ratio was 0.97 [R1].",
        "It held 15.9 MB [R1], or 15.2 MiB [R1].",
        "It grew from 45 % to 97 %, by 52 points [R1, R2].",
        "It grew from 45 % [R2] to 97 % [R1].",
        "It took 12 ms to answer [R2].",
        "About 14,200 keys were there. [L1] Then it was over.",
        "At 09:12 on 2026-11-23 redis-7 at 127.0.0.1:6379 was 97 % full [R1].",
        "1. It was 97 % full [R1].",
        "Two looks say so, 2 of them [R1, R2].",
        "It was 99 % full, I guess.",
        "It was 99 % full [inc-1a2b].",
        "Nothing.",
    ],
)
def test_what_stands_in_what_is_cited_is_not_doubted(said: str) -> None:
    assert doubts(said, KNOWN) == ()


@pytest.mark.parametrize(
    ("said", "figures"),
    [
        ("It was 99 % full [R1].", ["99 %"]),
        ("It was 97.5 % full [R1], and before 45 % [R2].", ["97.5 %"]),
        ("It was 97 % full [R2].", ["97 %"]),  # it was, at another time
        ("used_memory_ratio was 3 [R1].", ["3"]),  # another metric is 3
        ("It held 16.9 MB [R1].", ["16.9 MB"]),
        ("It took 123 ms [R2].", ["123 ms"]),
        ("15,300 keys were there [L1].", ["15,300"]),
        ("It was 97 % full [R1]. Then 12 clients waited [R1]. The rest is 0.5.", ["12"]),
    ],
)
def test_a_figure_that_is_in_none_of_it_is_doubted(said: str, figures: list[str]) -> None:
    assert [one.figure for one in doubts(said, KNOWN)] == figures
