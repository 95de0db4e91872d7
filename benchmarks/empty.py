"""A BentoML service that does nothing: what the framework holds before there is any of ours (benchmarks/memory_worker.py)."""

from __future__ import annotations

import bentoml


@bentoml.service(logging={"access": {"enabled": False}}, metrics={"enabled": False}, tracing={"sample_rate": 0.0})
class Empty:
    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML gives it no types
    def nothing(self) -> str:
        return ""
