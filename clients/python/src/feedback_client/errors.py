"""What can go wrong. Our own hierarchy:

ClientError
├── RequestRefused     the service refused a request as a whole
│   └── NotAllowed     the key is missing, wrong, or may not do this
├── JobFailed          a job ended without a result
├── Unavailable        no answer within the patience: overloaded, stopping, or not reached
└── OtherVersion       what answers speaks another version of the interface, or is no feedback service
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feedback_client.results import Job


class ClientError(Exception):
    """Anything that this client raises by itself."""


class RequestRefused(ClientError):
    """The service refused a request as a whole."""

    def __init__(self, status: int, code: str, message: str, field: str | None, request_id: str | None) -> None:
        super().__init__(f"{status} {code}: {message}" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.code = code
        """Stable, for programs."""
        self.message = message
        self.field = field
        """Where in the body, in dots."""
        self.request_id = request_id
        """Finds it in the service's log."""


class NotAllowed(RequestRefused):
    """The key is missing, wrong, or may not do this."""


class Unavailable(ClientError):
    """No answer within the patience."""


class JobFailed(ClientError):
    """A job failed or was cancelled: there is no result to wait for."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"job {job.id} ({job.name}) {job.state}" + (f": {job.error}" if job.error else ""))
        self.job = job


class OtherVersion(ClientError):
    """What answers speaks another version of the interface."""
