"""Logging configurations with which tests find the summary as data."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from typing_extensions import override

WITH_SUMMARY = {"SINGER_SDK_LOG_CONFIG": str(Path(__file__).with_name("logging.json"))}
"""The environment of a command that logs its summary as a JSON object, and all messages in the SDK's format."""


class SummaryFilter(logging.Filter):
    """Accepts only messages with a summary."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return hasattr(record, "summary")


def summaries(log: str) -> list[Any]:
    """Return the summaries in a log."""
    return [json.loads(line)["extra"]["summary"] for line in log.splitlines() if line.startswith('{"level":')]
