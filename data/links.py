"""Finds links, bare domains and e-mail addresses in a folded text (data/redaction.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_URL = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%\u0600-\u06ff]"
"""Persian letters stand in paths as they are. Chinese ones end a link: a sentence goes on after it without a space."""
_LINK = re.compile(rf"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.(?=[A-Za-z0-9])){_URL}+", re.IGNORECASE)
_PERSIAN_TAIL = re.compile(r"[\u0600-\u06ff،؛؟]+$")
_CLOSING = {")": "(", "]": "["}

_AT = r"(?:@|\s?[(\[]\s?at\s?[)\]]\s?)"
_DOT = r"(?:\.|\s?[(\[]\s?dot\s?[)\]]\s?)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}{_AT}(?:{_LABEL}{_DOT}){{1,6}}[A-Za-z]{{2,24}}(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_SURE_ENDS = "com|net|org|ir|cn|gov|edu|app|shop|store|online|site|info|biz|xyz|top|vip|dev|co\\.uk|org\\.uk|co\\.ir|io|tv|hk|tw"
"""Ends of a name that nobody writes by forgetting the space after a full stop. After any other, a path must follow."""
_DOMAIN = re.compile(
    rf"(?<![A-Za-z0-9@._-])(?:{_LABEL}\.){{1,5}}(?:(?:{_SURE_ENDS})(?![A-Za-z0-9@-])(?:[/?#]{_URL}*)?|[A-Za-z]{{2,12}}/{_URL}*[A-Za-z0-9]{_URL}*)",
    re.IGNORECASE,
)


def links(text: str) -> Iterator[tuple[int, int]]:
    """Spans of links that say so: `https://`, `www.`."""
    for match in _LINK.finditer(text):
        yield match.start(), _end(text, *match.span())


def domains(text: str) -> Iterator[tuple[int, int]]:
    """Spans of links without a beginning: `example.ir`, `bit.ly/x`."""
    for match in _DOMAIN.finditer(text):
        yield match.start(), _end(text, *match.span())


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Spans of e-mail addresses, also those written with (at) and (dot)."""
    for match in _EMAIL.finditer(text):
        yield match.span()


def _end(text: str, start: int, end: int) -> int:
    """Where the link ends: the punctuation of the sentence, and Persian words right after a name, are not part of it."""
    link = text[start:end]
    if "/" not in link.split("://")[-1]:
        link = _PERSIAN_TAIL.sub("", link)
    while link and (link[-1] in ".,;:!?'،؛؟" or (link[-1] in _CLOSING and link.count(link[-1]) > link.count(_CLOSING[link[-1]]))):
        link = link[:-1]
    return start + len(link)
