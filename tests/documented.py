"""Whether an answer is one that our OpenAPI document describes."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator


class Documented:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        return Draft202012Validator({**schema, "components": self.document["components"]})

    def accepts(self, path: str, body: Any) -> bool:
        """Whether the document lets a body be sent."""
        content = self.document["paths"][path]["post"]["requestBody"]["content"]
        return bool(self.validator(content["application/json"]["schema"]).is_valid(body))

    def check(self, method: str, path: str, response: Any) -> None:
        """AssertionError unless status, headers, content type and body are as the document says. The path must be in it."""
        described = self._resolve(self.document["paths"][path][method.lower()]["responses"])
        assert str(response.status_code) in described, f"{method} {path}: {response.status_code} is not in the document"
        answer = self._resolve(described[str(response.status_code)])
        for name, header in answer["headers"].items():
            assert name in response.headers or not self._resolve(header).get("required"), f"{path}: {name} is missing"
        kind = response.headers["content-type"].split(";")[0]
        assert kind in answer["content"], f"{method} {path}: {kind} is not in the document"
        if kind == "application/json":
            faults = sorted(self.validator(answer["content"][kind]["schema"]).iter_errors(json.loads(response.content)), key=str)
            assert not faults, f"{method} {path} {response.status_code}: {faults[0].message[:500]} at {list(faults[0].path)}"

    def _resolve(self, described: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in described:
            found: Any = self.document
            for part in described["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            described = found
        return described
