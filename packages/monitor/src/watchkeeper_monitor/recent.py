"""The last predictions, remembered so that labels that come later can be met with them."""

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNCODED = 0
"""The code of a class that came after there were too many to remember."""
FIRST_OF_BATCHES = 1 << 40
"""Handles of batches begin here, so that they need nothing of the counter that `track` takes its own from."""
CODES = 10_000
"""Classes and segments that are told apart while labels are waited for."""


class Remembered(NamedTuple):
    predicted: str | None
    """The predicted class; None for a number, or where there were too many classes."""
    value: float
    """The predicted number; NaN for a class."""
    confidence: float | None
    segment: str | None
    truth: int
    """What tells the label that it was met with before from others (`told_apart`); 0 where there was none."""


def told_apart(truth: str) -> int:
    """A number for a label; a code of its own would take the room of classes where labels are many."""
    return crc32(truth.encode("utf-8", "surrogatepass")) or 1


class Codes:
    """Small numbers for names, so that arrays can hold them."""

    def __init__(self) -> None:
        self.names: list[str | None] = [None]
        self.of: dict[str, int] = {}

    def code(self, name: str) -> int:
        known = self.of.get(name)
        if known is not None:
            return known
        if len(self.names) > CODES:
            return UNCODED
        self.names.append(name)
        self.of[name] = len(self.names) - 1
        return len(self.names) - 1


class Recent:
    """A ring of the last predictions, found by handle. 34 bytes each."""

    def __init__(self, size: int, class_codes: Codes, segment_codes: Codes) -> None:
        """`size` is rounded up to a power of two."""
        import numpy as np

        self.size = 1 << max(0, size - 1).bit_length()
        self.handles = np.full(self.size, -1, np.int64)
        self.classes = np.zeros(self.size, np.int32)
        self.values = np.full(self.size, np.nan)
        self.confidences = np.full(self.size, np.nan)
        self.segments = np.zeros(self.size, np.int16)
        self.truths = np.zeros(self.size, np.uint32)
        self.class_codes = class_codes
        self.segment_codes = segment_codes

    def remember(
        self,
        handles: "NDArray[np.int64]",
        classes: "NDArray[np.int32] | None",
        values: "NDArray[np.float64] | None",
        confidences: "NDArray[np.float64] | None",
    ) -> None:
        import numpy as np

        first = int(handles[0]) & (self.size - 1)
        places: NDArray[np.int64] | slice = handles & (self.size - 1)
        # From one thread they come one after the other; from several they may change places among themselves.
        together = first + handles.size <= self.size and handles[-1] - handles[0] == handles.size - 1
        if together and bool((handles[1:] > handles[:-1]).all()):
            places = slice(first, first + handles.size)
        self.handles[places] = handles
        self.classes[places] = UNCODED if classes is None else classes
        self.values[places] = np.nan if values is None else values
        self.confidences[places] = np.nan if confidences is None else confidences
        self.segments[places] = UNCODED
        self.truths[places] = UNCODED

    def in_segment(self, handle: int, segment: str) -> None:
        self.segments[handle & (self.size - 1)] = self.segment_codes.code(segment)

    def find(self, handle: int) -> Remembered | None:
        place = handle & (self.size - 1)
        if handle < 0 or self.handles[place] != handle:
            return None
        confidence = float(self.confidences[place])
        return Remembered(
            self.class_codes.names[self.classes[place]],
            float(self.values[place]),
            confidence if confidence == confidence else None,
            self.segment_codes.names[self.segments[place]],
            int(self.truths[place]),
        )

    def met(self, handle: int, truth: str) -> None:
        """Note its label, so that one that comes again is not counted twice."""
        self.truths[handle & (self.size - 1)] = told_apart(truth)
