"""The parts of a body in; one piece of memory that holds it out, which is used again for others.

Parts are small, and what holds a body belongs to no thread. Where each of several threads keeps whole bodies in
memory of its own, and another one frees them, gaps are left: a long run would hold a tenth more than a short one.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable

PART = 1 << 18
"""Bytes to be read at once: few enough to leave no gaps, and enough for threads not to take turns all the time."""
_LEAST = 1 << 21
"""Bytes of a piece of memory, of which those that nothing is written to are not there."""


class Room:
    """Memory for one body."""

    def __init__(self, spare: deque[mmap.mmap]) -> None:
        """Take memory out of `spare` when it is needed, and put it there when it is not."""
        self._spare = spare
        self._memory: mmap.mmap | None = None
        self.size = 0
        """Bytes of the body."""

    def fill(self, parts: Iterable[bytes]) -> None:
        """Hold a body, in place of an earlier one."""
        self.size = 0
        for part in parts:
            end = self.size + len(part)
            memory = self._memory_of(end)
            memory[self.size : end] = part
            self.size = end

    @property
    def body(self) -> bytes:
        """The body, as long as it is held."""
        return b"" if self._memory is None else self._memory[: self.size]

    def release(self) -> None:
        """Hold the body no longer."""
        if self._memory is not None:
            self._spare.append(self._memory)
        self._memory, self.size = None, 0

    def _memory_of(self, size: int) -> mmap.mmap:
        """Return memory for so many bytes, with what has been written to it so far."""
        if self._memory is None:
            self._memory = self._taken()
        if len(self._memory) < size:
            # Not resized, which is not to be had everywhere.
            larger = mmap.mmap(-1, 1 << size.bit_length())
            larger[: self.size] = self._memory[: self.size]
            self._memory = larger
        return self._memory

    def _taken(self) -> mmap.mmap:
        try:
            return self._spare.pop()
        except IndexError:
            return mmap.mmap(-1, _LEAST)
