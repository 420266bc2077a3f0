"""A target with the standard classes of the SDK: a batch sink that sends nothing."""

from __future__ import annotations

from typing import Any

from singer_sdk import BatchSink, Target
from typing_extensions import override


class Nothing(BatchSink):
    """Discards batches. It is the comparison for the speed of the target."""

    max_size = 1_000

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        """Discard a batch."""


class StockTarget(Target):
    """The target."""

    name = "stock-target"
    default_sink_class = Nothing


if __name__ == "__main__":
    StockTarget.cli()
