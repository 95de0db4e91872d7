"""What the door asks of every request: whose it is, whether it may come, whether there is room. One of it a process."""

from __future__ import annotations

from serving.admission import Admission
from serving.drain import Drain
from serving.keys import Key, KeyRing, RateLimit
from serving.metrics import Metrics
from serving.request import RequestError
from serving.settings import VARIABLES, ServiceSettings
from serving.tracing import make_tracing


class Reception:
    def __init__(self, settings: ServiceSettings) -> None:
        """ConfigError where keys or traces are set wrongly."""
        self.settings = settings
        self.admission = Admission(settings)
        self.drain = Drain(settings, self.admission)
        self.keys = KeyRing(settings)
        self.metrics = Metrics()
        self.tracing = make_tracing(settings)
        per_minute = settings.requests_per_minute / settings.workers  # each worker sees its share
        self._limit = RateLimit(per_minute) if settings.requests_per_minute else None

    def identify(self, authorization: str) -> Key | None:
        """The caller's key; None where none is needed. RequestError 401 or 429."""
        if not self.keys.needed:
            return None
        key = self.keys.find(authorization)
        if key is None:
            what = "holds no key that is known here" if authorization else "is missing"
            message = f"The header Authorization {what}. Send Authorization: Bearer YOUR_KEY."
            raise RequestError(401, "unauthorized", message, headers={"www-authenticate": "Bearer"})
        if self._limit is not None and (seconds := self._limit.take(key.name)):
            raise RequestError(
                429,
                "rate_limited",
                f"Over {self.settings.requests_per_minute} requests a minute for this key ({VARIABLES['requests_per_minute']}). "
                f"Try again in {seconds} s.",
                headers={"retry-after": str(seconds)},
            )
        return key

    def rooms(self, asked: bool = False) -> None:
        """Tell the metrics how full it is, where it matters: when they are `asked` for, or another process may be."""
        if asked or self.metrics.shared:
            self.metrics.rooms(self.admission.running, self.admission.waiting)
