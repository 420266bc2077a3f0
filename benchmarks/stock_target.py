"""A target as most people would write it with the SDK: a batch sink that posts nothing at all.

In: Singer messages. Out: their state.
"""

from __future__ import annotations

from typing import Any

from singer_sdk import BatchSink, Target
from typing_extensions import override


class Nothing(BatchSink):
    """Does nothing with batches, which is what its speed is compared for."""

    max_size = 1_000

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        """Forget a batch."""


class StockTarget(Target):
    """The target."""

    name = "stock-target"
    default_sink_class = Nothing


if __name__ == "__main__":
    StockTarget.cli()
