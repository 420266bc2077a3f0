"""The tolerance for the clock of the simulator, which stands in March 2026."""

from __future__ import annotations

from datetime import timedelta

ANY_CLOCK = timedelta(days=3650)
"""A tolerance that accepts every clock."""
