"""Daktela's sync endpoint."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tap_daktela.cli.errors import RunError

if TYPE_CHECKING:
    from tap_daktela.api.client import Client
    from tap_daktela.api.retry import RetryLimits
    from target_daktela_crm.business_hours import BusinessHours


class Endpoint(Protocol):
    """Where requests are sent: to Daktela, or to a folder in a dry run."""

    @property
    def retries(self) -> int:
        """Number of repeated requests so far."""

    def check(self) -> None:
        """Check that a request may be sent now.

        Raises:
            RunError: it may not.
        """

    def post(self, body: bytes, limits: RetryLimits) -> None:
        """Send a request; return when it is accepted.

        Raises:
            RequestError: it is refused, or not answered.
            SignInError: the credentials are refused.
            RunError: it cannot be written.
        """


class SyncEndpoint:
    """The endpoint of one instance."""

    def __init__(self, client: Client, path: str, business_hours: BusinessHours | None) -> None:
        """Send nothing within `business_hours`."""
        self._client = client
        self._path = path
        self._business_hours = business_hours

    @property
    def retries(self) -> int:
        """Number of repeated requests so far."""
        return self._client.traffic.retries

    def check(self) -> None:
        """Check that a request may be sent now.

        Raises:
            RunError: it is within business hours.
        """
        check_business_hours(self._business_hours)

    def post(self, body: bytes, limits: RetryLimits) -> None:
        """Send a request; return when it is accepted.

        Raises:
            RequestError: it is refused, or not answered.
            SignInError: the credentials are refused.
        """
        self._client.post(self._path, body, limits)


def check_business_hours(hours: BusinessHours | None) -> None:
    """Check that a full load may be sent now.

    Raises:
        RunError: it is within business hours.
    """
    if hours is not None and hours.include(datetime.now(UTC)):
        raise RunError(
            f"business_hours: no full load is sent from {hours}. Run it later, or use load_mode partial"
        )
