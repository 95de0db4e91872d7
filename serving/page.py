"""The pages for people: `/` to try the model, `/docs` to read the interface. Both work without any network but the service.

Swagger UI comes inside BentoML's package. Pages hold nothing of a company's: they are given out without a key and ask for one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SWAGGER_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
PAGES = frozenset({"/", "/docs", *(f"/docs/{name}" for name in SWAGGER_FILES)})
"""Paths that are given out without a key."""
ONE_DAY = "public, max-age=86400"
_SCRIPT = re.compile("<script>(.*?)</script>", re.DOTALL)


def page_routes() -> list[Route]:
    """The pages, read once."""
    here = Path(__file__).parent
    answers = {"/": _page(here / "page.html"), "/docs": _page(here / "docs.html")}
    swagger = files("bentoml") / "_internal" / "server" / "static_content"
    for name, kind in SWAGGER_FILES.items():
        answers[f"/docs/{name}"] = Response((swagger / name).read_bytes(), media_type=kind, headers={"cache-control": ONE_DAY})
    return [_route(path, answer) for path, answer in answers.items()]


def _route(path: str, answer: Response) -> Route:
    async def give(_: Request) -> Response:
        return Response(answer.body, headers=dict(answer.headers))

    return Route(path, give, methods=["GET"])


def _page(file: Path) -> Response:
    """A page that can load and call nothing but this service, and run no script but its own."""
    text = file.read_text("utf-8")
    scripts = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in _SCRIPT.findall(text)]
    policy = [
        "default-src 'none'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        "script-src 'self' " + " ".join(f"'sha256-{digest}'" for digest in scripts),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    headers = {
        "content-security-policy": "; ".join(policy),
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return Response(text, media_type="text/html", headers=headers)
