"""Whatever is sent, the answer is one of the document and never a failure of ours."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from documented import Documented
from starlette.testclient import TestClient

from serving.app import make_app
from serving.classifier import FeedbackClassifier
from serving.settings import ServiceSettings

SETTINGS = ServiceSettings(max_texts=8, max_explained_texts=8, max_body_bytes=65_536)
ROUNDS = 60


@pytest.fixture(scope="module")
def client(classifier: FeedbackClassifier) -> Iterator[TestClient]:
    with TestClient(make_app(classifier, SETTINGS), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def documented(client: TestClient) -> Documented:
    return Documented(client.get("/openapi.json").json())


ODD = (
    *(
        "\x00",
        "\x01\x02\x1f\x7f",
        "\u202e\u202d\u2066\u2069",
        "\u200e\u200f\u061c",
        "\ud83d",
        "\ude00",
        "\ud83d\ude00",
        "\udfff\ud800",
    ),
    *(
        "\ufeff",
        "\ufffe\uffff",
        "\U0010ffff",
        "e\u0301" * 40,
        "\u0600\u06dd",
        "ﷺ",
        "👨\u200d👩\u200d👧",
        "𓀀",
        "\u2028\u2029",
        "ـ" * 50,
    ),
    *("%00%0a", "../../etc/passwd", "${jndi:ldap://x}", "'; DROP TABLE x; --", "<script>", "\\u0000", "{{7*7}}", " ", "\t\r\n"),
    *("快递", "بسته", "parcel", "&#55357;&#56832;", "&#1114112;&#0;", "Ã©è¿™", "杩欎釜", "锟斤拷"),
    *("A" * 300, "好" * 300, "ا" * 300, "。！？.!?؟" * 30),
)
"""Halves of characters, marks of direction, control characters, wrong readings, attacks, and plain words between them."""


def odd_text(chance: random.Random) -> str:
    return "".join(chance.choices(ODD, k=chance.randint(0, 6)))


def odd_value(chance: random.Random, depth: int = 0) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: odd_text(chance),
        lambda: chance.choice([None, True, False]),
        lambda: chance.choice([0, -1, 2**63, 2**64, 10**308, -(10**400), 1e-320, 1.7976931348623157e308]),
    ]
    if depth < 4:
        kinds += [
            lambda: [odd_value(chance, depth + 1) for _ in range(chance.randint(0, 3))],
            lambda: {odd_text(chance)[:40]: odd_value(chance, depth + 1) for _ in range(chance.randint(0, 3))},
        ]
    return chance.choice(kinds)()


def raw_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(0, 400))


def damaged_json(chance: random.Random) -> bytes:
    body = bytearray(json.dumps({"texts": [odd_text(chance)], "explain": True}).encode())
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(body))
        body[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
    return bytes(body)


def wrong_types(chance: random.Random) -> bytes:
    names = chance.sample(["texts", "items", "tasks", "scores", "explain", odd_text(chance)], chance.randint(0, 4))
    return json.dumps({name: odd_value(chance) for name in names}).encode()


def deep_nesting(chance: random.Random) -> bytes:
    depth, (opening, inner, closing) = (
        chance.randint(50, 12_000),
        chance.choice([("[", "", "]"), ('{"a":', "1", "}"), ('{"texts":[', "", "]}")]),
    )
    return (opening * depth + inner + closing * chance.choice([0, depth])).encode()[: SETTINGS.max_body_bytes - 10]


def huge_numbers(chance: random.Random) -> bytes:
    number = chance.choice(
        ["9" * 5000, "1e99999", "-" + "1" * 4301, "1." + "0" * 9000, "NaN", "-Infinity", "0x10", "1e-99999", "00"]
    )
    return (
        chance.choice(['{"texts": [%s]}', '{"texts": ["a"], "scores": %s}', '{"items": [{"text": "a", "id": %s}]}', "%s"])
        .replace("%s", number)
        .encode()
    )


def odd_texts(chance: random.Random) -> bytes:
    items = [{"id": odd_text(chance)[:200], "text": odd_text(chance)} for _ in range(chance.randint(1, 8))]
    return json.dumps({"items": items, "scores": True, "explain": chance.random() < 0.7}).encode()


@pytest.mark.parametrize("make", [raw_bytes, damaged_json, wrong_types, deep_nesting, huge_numbers, odd_texts])
def test_any_body_gets_an_answer_of_the_document(
    client: TestClient, documented: Documented, make: Callable[[random.Random], bytes]
) -> None:
    chance = random.Random(make.__name__)
    statuses = set()
    for _ in range(ROUNDS):
        response = client.post("/v1/classify", content=make(chance), headers={"content-type": "application/json"})
        assert response.status_code < 500, response.text
        documented.check("POST", "/v1/classify", response)
        statuses.add(response.status_code)
    assert statuses <= {200, 400, 422}
    assert statuses == {200} if make is odd_texts else statuses - {200}


def test_explained_sentences_of_odd_texts_lie_inside_them(client: TestClient) -> None:
    chance = random.Random(7)
    named = 0
    for _ in range(ROUNDS):
        text = odd_text(chance) + chance.choice(["parcel. ", "快递。", "بسته؟ "]) + odd_text(chance) + "!" + odd_text(chance)
        sent = json.loads(json.dumps(text))  # two halves side by side become a character
        result = client.post(
            "/v1/classify", content=json.dumps({"texts": [text], "explain": True}), headers={"content-type": "application/json"}
        ).json()["results"][0]
        for answer in result["answers"].values():
            for label in answer.get("labels", [answer]):
                for sentence in label["sentences"]:
                    assert 0 <= sentence["start"] < sentence["end"] <= len(sent)
                    named += 1
    assert named > ROUNDS


@pytest.mark.parametrize("seed", range(3))
def test_any_path_method_and_header_gets_the_shape_of_errors(client: TestClient, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        path = "/v1" + "".join(
            chance.choices(["/", "classify", "%00", "%ff", "..", "%2e%2e", "é", "model", "?x=1", "#", "docs"], k=4)
        )
        method = chance.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
        headers = {
            "content-type": chance.choice(["application/json", "text/plain", "application/json;charset=\xff", "", "a/b;" * 200]),
            "content-length": chance.choice(["0", "-1", "abc", "99999999999999999999999"]),
            "x-request-id": chance.choice(["ok", "\xff\xfe", "a" * 5000, "a b"]),
            "authorization": chance.choice(["", "Bearer", "Bearer \xff", "Basic x"]),
        }
        response = client.request(
            method, path, headers={name: value.encode("latin-1") for name, value in headers.items()}, content=b""
        )
        assert response.status_code < 500, (method, path, response.text)
        if response.status_code >= 400:
            assert list(response.json()["error"]) == ["code", "message", "field", "request_id"]
