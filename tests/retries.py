"""Short waits between the attempts of a request, so that tests of failures are fast."""

from __future__ import annotations

from tap_daktela.api.retry import RetryPolicy

QUICK = RetryPolicy(first_wait=0.002, max_wait=0.01, max_rate_limit_wait=0.01)
