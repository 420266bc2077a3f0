"""The clock of the simulator stands still in March 2026, whatever this machine's clock says."""

from __future__ import annotations

from datetime import timedelta

ANY_CLOCK = timedelta(days=3650)
"""A tolerance that accepts it."""
