"""Tells a caller's server that a job has ended: signed, and never to an address inside our own network.

The name is resolved once and the connection goes to the very address that was checked, so that a name that is given another
address a moment later (DNS rebinding) leads nowhere. Redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
SIGNATURE_HEADER = "X-Feedback-Signature"
MAX_URL_CHARACTERS = 2000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]


class WebhookError(Exception):
    """The URL may not be called, or did not answer as it should; the message holds no text of a message."""


def check_url(url: str, allowed: Collection[str] = ()) -> None:
    """WebhookError where a URL cannot be one of ours at all. What its name leads to is looked at when it is called.

    allowed: host names that may be private, and be called without TLS.
    """
    parts = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in allowed):
        raise WebhookError("The webhook must be an https:// URL.")
    if parts.username or parts.password:
        raise WebhookError("The webhook may hold no user name or password; its signature tells who calls.")
    if not parts.hostname or len(url) > MAX_URL_CHARACTERS:
        raise WebhookError("The webhook names no host, or is too long.")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if parts.hostname not in allowed and not is_public(address):
        raise WebhookError("The webhook leads to a private address.")


def send(
    url: str, document: Mapping[str, Any], secret: str, now: float, allowed: Collection[str] = (), resolve: Resolve | None = None
) -> None:
    """POST a document as JSON. WebhookError if it may not be sent, or the answer is not 2xx.

    The header X-Feedback-Signature is `t=SECONDS,v1=HEX`: HMAC-SHA256, with the secret, of `SECONDS.BODY`.
    """
    check_url(url, allowed)
    parts = _split(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port, host in allowed, resolve or _resolve)
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    connection = _Pinned(host, port, address, tls=parts.scheme == "https")
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {"Content-Type": "application/json", SIGNATURE_HEADER: sign(body, secret, now)})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WebhookError(f"not reached: {type(error).__name__}") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise WebhookError(f"answered {status}")


def sign(body: bytes, secret: str, now: float) -> str:
    """The signature's header for a body at a time."""
    moment = int(now)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def is_public(address: Address) -> bool:
    """Is it an address of the open internet, also where another one is wrapped in it."""
    if isinstance(address, ipaddress.IPv6Address):
        if inner := address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None):
            return is_public(inner)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise WebhookError("The webhook is no URL.") from error
    if not url.isascii() or not url.isprintable() or " " in url:
        raise WebhookError("The webhook is no URL: write it in ASCII, without blanks.")
    return parts


def _address(host: str, port: int, allowed: bool, resolve: Resolve) -> str:
    """The address to connect to. Every one that the name has must be public."""
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise WebhookError("its name leads nowhere") from error
    if not found:
        raise WebhookError("its name leads nowhere")
    if not allowed and not all(is_public(ipaddress.ip_address(each.partition("%")[0])) for each in found):
        raise WebhookError("leads to a private address")
    return found[0]


def _resolve(host: str, port: int) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class _Pinned(http.client.HTTPConnection):
    """Connects to an address that was checked; the host's name stays in the request and in the certificate."""

    def __init__(self, host: str, port: int, address: str, tls: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address = address
        self._tls = ssl.create_default_context() if tls else None

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self.host)
