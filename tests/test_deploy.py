"""The dashboard and the alert rules ask only for series that the service has; the Kubernetes manifest is valid and fits it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serving.door import PROBES, READINESS
from serving.metrics import Metrics
from serving.settings import VARIABLES, ServiceSettings
from serving.supervisor import KILL_AFTER_S

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "feedback.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
PANEL_EXPRESSIONS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULE_EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in RULES]
OWN_LABELS = {"le", "job", "instance"}
DURATION = re.compile(r"^([0-9]+(s|m|h|d|w))$|^\$__rate_interval$")


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """Every series that the service can have, with its labels."""
    known: dict[str, set[str]] = {}
    for metric in Metrics()._registry.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[metric.type]
        for end in ends:
            known[metric.name + end] = set(LABELS.get(metric.name, ()))
    return known


LABELS = {
    "feedback_requests": ("method", "route", "status"),
    "feedback_request_duration_seconds": ("route",),
    "feedback_stage_duration_seconds": ("stage",),
    "feedback_rejects": ("reason",),
    "feedback_predictions": ("task", "label", "language"),
    "feedback_abstentions": ("task", "language"),
    "feedback_failures": ("code",),
    "feedback_repairs": ("repair",),
    "feedback_warnings": ("warning",),
    "feedback_reloads": ("outcome",),
    "feedback_model_info": ("version",),
}


@pytest.mark.parametrize(("name", "expression"), [*PANEL_EXPRESSIONS, *RULE_EXPRESSIONS])
def test_an_expression_is_well_formed_and_asks_for_what_there_is(name: str, expression: str, series: dict[str, set[str]]) -> None:
    bare = re.sub(r'"[^"]*"', '""', expression)
    for opened, closed in ("()", "[]", "{}"):
        assert bare.count(opened) == bare.count(closed), name
    asked = re.findall(r"\bfeedback_\w+", bare)
    assert asked or "up{" in bare
    assert set(asked) <= set(series), name
    allowed = OWN_LABELS.union(*(series[one] for one in asked))
    for matchers in re.findall(r"\{([^}]*)\}", bare):
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= allowed
    for labels in re.findall(r"\b(?:by|ignoring)\s*\(([^)]*)\)", bare):
        assert {label.strip() for label in labels.split(",")} <= allowed
    assert all(DURATION.match(length) for length in re.findall(r"\[([^\]]*)\]", bare))


def test_panels_have_their_own_number_and_place() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    squares = [
        (column, line)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(squares)) == len(squares)
    assert max(column for column, _ in squares) < 24
    assert all(panel["title"] and panel["description"] for panel in DASHBOARD["panels"])


def test_variables_that_panels_use_are_there() -> None:
    known = {variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"__rate_interval", "__all"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) <= known


def test_every_alert_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "warn")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["action"].endswith(".")


# Kubernetes -------------------------------------------------------------------------------------------------------------------

MANIFEST = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "feedback.yaml").read_text("utf-8"))}


@pytest.mark.parametrize("kind", MANIFEST)
@pytest.mark.parametrize("version", ["1.30", "latest"])
def test_every_object_is_valid_by_kubernetes_own_schema(kind: str, version: str) -> None:
    number = kubernetes_validate.latest_version() if version == "latest" else version
    kubernetes_validate.validate(MANIFEST[kind], number, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):  # the check can fail
        kubernetes_validate.validate({**MANIFEST[kind], "spec": {"replica": "two"}}, number, strict=True)


def test_the_manifest_asks_what_the_service_answers_and_waits_as_long_as_it_drains(series: dict[str, set[str]]) -> None:
    pod = MANIFEST["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == container["readinessProbe"]["httpGet"]["path"] == READINESS
    assert container["livenessProbe"]["httpGet"]["path"] in PROBES - {READINESS}
    known = set(VARIABLES.values()) | {"BENTOML_DO_NOT_TRACK"}
    assert {variable["name"] for variable in container["env"]} <= known
    settings = ServiceSettings()
    assert pod["terminationGracePeriodSeconds"] > settings.notice_seconds + settings.drain_seconds + KILL_AFTER_S
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < settings.notice_seconds
    [metric] = MANIFEST["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] in series
    assert MANIFEST["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == MANIFEST["Deployment"]["metadata"]["name"]
    assert (
        MANIFEST["Service"]["spec"]["selector"].items() <= MANIFEST["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )
