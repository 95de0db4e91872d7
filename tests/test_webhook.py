"""Webhooks are signed, and never lead into our own network."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from serving.webhook import SIGNATURE_HEADER, WebhookError, check_url, is_public, send

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "192.0.2.1", "198.18.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_our_own_network_are_not_public_however_they_are_written(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_addresses_of_the_open_internet_are(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/x", "must be an https"), ("ftp://example.com", "must be an https"),
        ("example.com", "must be an https"),
        ("https://u:p@example.com", "no user name"), ("https://", "names no host"), ("https://127.0.0.1/x", "private address"),
        ("https://[::1]/x", "private address"), ("https://example.com:99999/", "no URL"), ("https://[bad/", "no URL"),
        ("https://exämple.com/", "in ASCII"), ("https://example.com/a b", "in ASCII"), ("https://e.com/" + "x" * 2000, "too long"),
        ("https://example.com/\r\nX: y", "in ASCII"),
    ],
)  # fmt: skip
def test_urls_that_cannot_be_a_webhook_are_refused_beforehand(url, said):
    with pytest.raises(WebhookError, match=said):
        check_url(url)


@pytest.mark.parametrize("answers", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:192.168.0.1"]])
def test_a_name_that_leads_inside_is_not_called(answers):
    with pytest.raises(WebhookError, match="private address"):
        send("https://example.com/x", {}, "secret", 0.0, resolve=lambda host, port: answers)


def test_a_name_without_an_address_is_told():
    with pytest.raises(WebhookError, match="leads nowhere"):
        send("https://example.com/x", {}, "secret", 0.0, resolve=lambda host, port: [])


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.server.got.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]  # set below
            self.send_response(302 if self.path == "/moved" else 200)
            self.send_header("location", "http://127.0.0.1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got = []  # type: ignore[attr-defined]  # what came
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_allowed_host_gets_the_document_with_a_signature_that_can_be_checked(receiver):
    send(
        f"http://localhost:{receiver.server_port}/done?x=1", {"id": "a", "state": "done"}, "secret", 1_763_789_123.9, ["localhost"]
    )
    ((path, headers, body),) = receiver.got
    assert path == "/done?x=1"
    assert json.loads(body) == {"id": "a", "state": "done"}
    assert headers["Host"] == f"localhost:{receiver.server_port}"
    moment, digest = (part.split("=")[1] for part in headers[SIGNATURE_HEADER].split(","))
    assert moment == "1763789123"
    assert hmac.compare_digest(digest, hmac.new(b"secret", b"1763789123." + body, hashlib.sha256).hexdigest())


def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_is_asked_once(receiver):
    asked = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    send(f"http://inside.test:{receiver.server_port}/x", {}, "s", 0.0, ["inside.test"], resolve=rebinding)
    assert asked == ["inside.test"]
    assert len(receiver.got) == 1


def test_a_redirect_is_not_followed(receiver):
    with pytest.raises(WebhookError, match="answered 302"):
        send(f"http://localhost:{receiver.server_port}/moved", {}, "s", 0.0, ["localhost"])
    assert len(receiver.got) == 1


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(WebhookError, match="not reached: ConnectionRefusedError"):
        send("http://localhost:1/x", {}, "s", 0.0, ["localhost"], resolve=lambda host, port: ["127.0.0.1"])
