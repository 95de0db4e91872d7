"""Named alterations that a source may declare for its texts (the key `alter` of sources.toml).

They undo what a publisher did to the words of people, nothing else. Mending what people themselves typed is the
work of the text normaliser. A step's effect may only change together with `IMPORTER_VERSION`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

_CLITIC = re.compile(r"(?<=\w) ' (s|m|d|t|re|ve|ll)\b", re.IGNORECASE)
_NOT = re.compile(r"\b(\w+) n't\b", re.IGNORECASE)
_BACKTICK_QUOTE = re.compile(r"` ` ?(.+?) ?(?:` `|' ')")
_HYPHEN = re.compile(r"(?<=\d) - (?=\w)|(?<=\w) - (?=\w\b(?!'))")
_BEFORE_CLOSING = re.compile(r"\s+([,.!?;:%)\]])")
_AFTER_OPENING = re.compile(r"([(\[])\s+|([$])\s+(?=\d)")
_BROKEN_APOSTROPHE = re.compile(r"\b(\w+)  (s|m|d|t|re|ve|ll)\b", re.IGNORECASE)
_ISSUE_PREFIX = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]|(?:bug|fix|question|support|rfc|feat|feature(?: request)?)\s*(?=:))\s*:?\s*", re.IGNORECASE
)


def detokenise(text: str) -> str:
    """Join English tokens that a corpus set apart: `did n ' t work .` becomes `didn't work.`."""
    text = _BACKTICK_QUOTE.sub(r'"\1"', text)
    text = re.sub(r"\bn ' t\b", "n't", text, flags=re.IGNORECASE)
    text = _NOT.sub(r"\1n't", text)
    text = _CLITIC.sub(r"'\1", text)
    text = _HYPHEN.sub("-", text)
    return _AFTER_OPENING.sub(r"\1\2", _BEFORE_CLOSING.sub(r"\1", text)).strip()


def mend_apostrophes(text: str) -> str:
    """Put back the apostrophe that became two spaces: `I can  t log in` becomes `I can't log in`."""
    return _BROKEN_APOSTROPHE.sub(r"\1'\2", text)


def unescape_newlines(text: str) -> str:
    r"""Turn the characters `\n` that an export left into a line break."""
    return re.sub(r"\s*(?:\\+n\s*)+", "\n", text).strip()


def drop_trailing_comma(text: str) -> str:
    """Drop the ` ,` that an export hung on sentences."""
    return re.sub(r"\s+,\s*$", "", text)


def drop_issue_prefix(text: str) -> str:
    """Drop what a tracker's template writes before a title, since it names the label: `[Bug]`, `Feature request:`."""
    while (match := _ISSUE_PREFIX.match(text)) and match.end() < len(text):
        text = text[match.end() :]
    return text


ALTERATIONS: Mapping[str, Callable[[str], str]] = {
    step.__name__: step for step in (detokenise, mend_apostrophes, unescape_newlines, drop_trailing_comma, drop_issue_prefix)
}


def alter(text: str, steps: Iterable[str]) -> str:
    """Apply the named steps in order."""
    for step in steps:
        text = ALTERATIONS[step](text)
    return text
