"""Readings → verdict: before against after, and nothing but evidence."""

from watchkeeper.verify.verify import GOOD_LOOKS, Subject, judge

__all__ = ["GOOD_LOOKS", "Subject", "judge"]
