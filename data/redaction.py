"""Masks what points at a person or an order in a message: for the copy that is written, never for what the model reads.

    redacted = redact("请打13812345678，或写 li@example.com")
    redacted.text                          # 请打[PHONE]，或写 [EMAIL]
    redacted.counts                        # {"phone": 1, "email": 1}

Check digits and phone numbering plans come from python-stdnum and phonenumbers. What it finds, how surely, and what it
cannot find (names, addresses, numbers without their check digits): docs/redaction.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data.cards import cards, ibans
from data.folding import fold
from data.links import domains, emails, links
from data.national_ids import chinese_ids, iranian_ids, social_security_numbers, uk_insurance_numbers
from data.orders import named_orders, order_shapes
from data.phones import phones

KINDS = ("email", "phone", "card", "national_id", "iban", "order_id", "link")
"""What is masked, as counts and manifests name it."""
REDACTION_VERSION = 1
"""Goes up whenever another text could come out."""
Finder = Callable[[str], Iterator[tuple[int, int]]]
_FINDERS: tuple[tuple[str, Finder], ...] = (
    ("link", links),
    ("email", emails),
    ("link", domains),
    ("iban", ibans),
    ("order_id", named_orders),
    ("national_id", chinese_ids),
    ("card", cards),
    ("national_id", social_security_numbers),
    ("national_id", uk_insurance_numbers),
    ("national_id", iranian_ids),
    ("order_id", order_shapes),
    ("phone", phones),
)
"""Where two want the same characters, the earlier has them: the surer first (a link may hold an address)."""
_WORTH_LOOKING = re.compile(r"[0-9]{3}|[0-9].?[0-9].?[0-9]|@|[(\[ ]at[)\] ]|\.[A-Za-z]|://", re.IGNORECASE)
"""A folded text without any of these has nothing to mask."""
_TAKEN = "\x00"
"""Stands for a character that is masked already; no pattern crosses it."""


@dataclass(frozen=True)
class Found:
    kind: str
    """One of KINDS."""
    start: int
    end: int
    """Offsets in the original text."""


@dataclass(frozen=True)
class Redacted:
    text: str
    """The message with `[KIND]` in the place of everything found."""
    found: tuple[Found, ...]
    """In the text's order; they do not overlap."""

    @property
    def counts(self) -> dict[str, int]:
        """By kind, those that occur."""
        counts = dict.fromkeys(KINDS, 0)
        for item in self.found:
            counts[item.kind] += 1
        return {kind: count for kind, count in counts.items() if count}


def redact(text: str) -> Redacted:
    """Mask what is found in a text; the rest stays character for character. Redacting the result again changes nothing."""
    found = find(text)
    if not found:
        return Redacted(text, ())
    parts, place = [], 0
    for item in found:
        parts += [text[place : item.start], f"[{item.kind.upper()}]"]
        place = item.end
    return Redacted("".join(parts) + text[place:], found)


def find(text: str) -> tuple[Found, ...]:
    """What would be masked, in the text's order."""
    folded = fold(text)
    if not _WORTH_LOOKING.search(folded.text):
        return ()
    taken: list[Found] = []
    free = folded.text
    for kind, finder in _FINDERS:
        for start, end in list(finder(free)):
            if _TAKEN not in free[start:end]:  # two patterns of one finder may want the same
                taken.append(Found(kind, *folded.span(start, end)))
                free = free[:start] + _TAKEN * (end - start) + free[end:]
    return tuple(sorted(taken, key=lambda item: item.start))
