"""Where the sentences of a message begin and end, in Chinese, English and Persian."""

from __future__ import annotations

import re

_STOPS = "。！？｡.!?؟۔…‼⁉⁈"
_CLOSERS = "\"'”’»›）)\\]】」』》〉"
_EMOJI = "\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff"
_END = re.compile(f"([{_STOPS}]+)[{_CLOSERS}]*(?:[^\\S\n]*[{_EMOJI}]+)*|\n+")
_SPOKEN = re.compile(r"[^\W_]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘«])(?:[a-z]|[a-z](?:\.[a-z])+|mrs?|ms|dr|prof|st|no|vs|etc|inc|ltd|approx|tel|ext|fig)$", re.IGNORECASE
)
"""Before a single full stop: initials, e.g., i.e., and the commonest short forms of business."""
_LONGEST_ABBREVIATION = 12


def sentences(text: str) -> list[tuple[int, int]]:
    """Return start and end of each sentence, in order; together they cover the text, spaces after a sentence belong to it.

    A line is a sentence at least; what holds no letter or digit (a row of emoji, "!!!") belongs to the sentence before it.
    A message without stops is one sentence. No text, no sentences.
    """
    starts = [0]
    for match in _END.finditer(text):
        if _ends(text, match):
            end = match.end()
            while end < len(text) and text[end].isspace():
                end += 1
            starts.append(end)
    spans = [(start, end) for start, end in zip(starts, [*starts[1:], len(text)], strict=True) if start < end]
    return _joined(text, spans)


def _ends(text: str, match: re.Match[str]) -> bool:
    mark, after = match.group(1), text[match.end() : match.end() + 1]
    if not mark or not after:
        return True
    if mark.strip("….") == "" and len(mark) + mark.count("…") > 1:  # three dots: a pause, where the sentence goes on
        following = text[match.end() :].lstrip()[:1]
        return not (following.isascii() and following.islower())
    if mark[0] != ".":
        return True
    # A full stop also stands in 3.5, example.com and v2.0: there no space follows, except in text without spaces.
    if not after.isspace() and after.isascii():
        return False
    return mark != "." or not _ABBREVIATION.search(text, max(0, match.start() - _LONGEST_ABBREVIATION), match.start())


def _joined(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join what holds no letter or digit, or only the number of a list, to the sentence beside it."""
    joined: list[tuple[int, int]] = []
    waiting: int | None = None
    for start, end in spans:
        words = text[start:end]
        if waiting is not None:
            start, waiting = waiting, None
        if re.fullmatch(r"\s*\d{1,2}[.．]\s*", words):
            waiting = start
        elif joined and not _SPOKEN.search(words):
            joined[-1] = (joined[-1][0], end)
        elif not _SPOKEN.search(words):
            waiting = start
        else:
            joined.append((start, end))
    if waiting is not None:
        if joined:
            joined[-1] = (joined[-1][0], len(text))
        else:
            joined.append((waiting, len(text)))
    return joined
