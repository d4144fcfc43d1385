import doctest

from watchkeeper.domain import size


def test_examples_in_docstrings_are_true() -> None:
    assert doctest.testmod(size).attempted
    assert not doctest.testmod(size).failed
