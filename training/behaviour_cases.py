"""Messages changed in ways that must not change the answers, from our own sentences and the corpus's test rows."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from data.scripts import ARABIC_LETTER, HAN_LETTER

DATA = Path(__file__).resolve().parent.parent / "data"
MESSAGES = DATA / "behaviour" / "messages.jsonl"
ADDITIONS = DATA / "behaviour" / "additions.jsonl"
SLOTS = DATA / "behaviour" / "slots.toml"
CORPUS = DATA / "corpus"
CORPUS_ROWS = 60
"""Test rows of the corpus taken for each language, besides our own sentences."""
LONGEST = 300
"""Characters of a corpus row at most: the figures are of messages, not of windows."""

ERASED = ("arabic letters", "full width", "spaces")
"""Kinds that the text normaliser takes back before the network reads anything: counted apart."""


@dataclass(frozen=True)
class Message:
    id: str
    language: str
    text: str
    """Slots filled."""
    pattern: str
    """With its slots, of our own sentences; the text itself of a corpus row."""
    labels: Mapping[str, Any]
    """As the record has them, by task; more than the taxonomy may know."""
    own: bool


@dataclass(frozen=True)
class Case:
    """Two texts that must get the same answers."""

    kind: str
    language: str
    original: str
    changed: str


def read_records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


@cache
def slots() -> dict[str, Any]:
    return tomllib.loads(SLOTS.read_text("utf-8"))


def own_messages() -> list[Message]:
    return [_message(record, own=True) for record in read_records(MESSAGES)]


def corpus_messages(language: str) -> list[Message]:
    """Test rows of the corpus, chosen by the hash of their text."""
    rows = [row for row in read_records(CORPUS / f"{language}.jsonl") if row["split"] == "test" and len(row["text"]) <= LONGEST]
    rows.sort(key=lambda row: sha256(row["text"].encode("utf-8")).hexdigest())
    return [_message(row, own=False) for row in rows[:CORPUS_ROWS]]


def _message(record: Mapping[str, Any], own: bool) -> Message:
    text = record["text"]
    return Message(record["id"], record["language"], _filled(text, record["language"]) if own else text, text, record, own)


def _filled(pattern: str, language: str, name: int = 0, order: int = 0) -> str:
    return pattern.replace("{name}", slots()["names"][language][name]).replace("{order}", slots()["orders"][order])


def invariance_cases(seed: int = 0) -> list[Case]:
    """Every kind of change on every message that it changes; the seed chooses places and words."""
    messages = own_messages()
    languages = list(dict.fromkeys(message.language for message in messages))
    messages += [message for language in languages for message in corpus_messages(language)]
    cases = {}
    for message in messages:
        for kind, change in _KINDS.items():
            rng = random.Random(f"{seed} {kind} {message.text}")
            for changed in change(message, rng):
                if changed != message.text and changed.strip():
                    cases[Case(kind, message.language, message.text, changed)] = True
    return list(cases)


# Kinds: each yields the changed texts of a message, or nothing where there is nothing to change.


def _names(message: Message, rng: random.Random) -> Iterator[str]:
    if "{name}" in message.pattern:
        for number in range(1, len(slots()["names"][message.language])):
            yield _filled(message.pattern, message.language, name=number)


def _orders(message: Message, rng: random.Random) -> Iterator[str]:
    if "{order}" in message.pattern:
        for number in range(1, len(slots()["orders"])):
            yield _filled(message.pattern, message.language, order=number)


_NUMBER = re.compile(r"(?<![A-Za-z0-9۰-۹.,№ -])\d{1,3}(?![A-Za-z0-9۰-۹]|[.,]\d)|(?<=[^№] )\d{1,3}(?![A-Za-z0-9۰-۹]|[.,]\d)")
_LATIN_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789")
_PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def _digits(message: Message, rng: random.Random) -> Iterator[str]:
    """Other figures (our own sentences alone: elsewhere it may be a mark out of five); in Persian, digits of the other script."""
    if message.own:
        yield _NUMBER.sub(lambda match: _next(match.group()), message.text)
    if message.language == "fa":
        yield message.text.translate(_LATIN_DIGITS)
        if re.search(f"[{ARABIC_LETTER}]", message.text):
            yield message.text.translate(_PERSIAN_DIGITS)


def _next(number: str) -> str:
    """The number with its first digit one higher: 3 days, 4 days."""
    digits = "۰۱۲۳۴۵۶۷۸۹" if number[0] in "۰۱۲۳۴۵۶۷۸۹" else "0123456789"
    first = digits.index(number[0])
    return digits[first + 1 if first < 9 else 8] + number[1:]


_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]\ufe0f?")


def _emoji(message: Message, rng: random.Random) -> Iterator[str]:
    """Repeated or left out; in our own sentences alone, whose words say what the emoji says."""
    if message.own and _EMOJI.search(message.text):
        yield _EMOJI.sub(lambda match: match.group() * 3, message.text)
        yield _EMOJI.sub("", message.text).strip()


_GREETED = re.compile(r"^\W*(?:hi|hey|hello|dear|good|salam|slm|سلام|با سلام|درود|وقت|你好|您好|大家好|亲|親|哈喽)", re.IGNORECASE)


def _greeting(message: Message, rng: random.Random) -> Iterator[str]:
    spoken = "zh" if re.search(f"[{HAN_LETTER}]", message.text) else "fa" if re.search(f"[{ARABIC_LETTER}]", message.text) else "en"
    if not _GREETED.match(message.text) and spoken == message.language:
        yield rng.choice(slots()["greetings"][spoken]) + message.text


def _half_spaces(message: Message, rng: random.Random) -> Iterator[str]:
    yield message.text.replace("\u200c", " ")
    yield message.text.replace("\u200c", "")


def _casing(message: Message, rng: random.Random) -> Iterator[str]:
    """Small letters, and a capital for each word. All capitals are no such case: they may mean anger."""
    if message.language == "en":
        yield message.text.lower()
        yield re.sub(r"[A-Za-z]+('[a-z]+)?", lambda match: match.group().capitalize(), message.text)


def _typo(message: Message, rng: random.Random) -> Iterator[str]:
    """Two neighbouring letters of one long word exchanged; in Chinese a character for one that sounds the same."""
    if message.language == "zh":
        changed = _homophone(message.text, rng)
        if changed:
            yield changed
        return
    words = [match for match in re.finditer(r"[^\W\d_]{5,}", message.text) if match.group().lower() not in _slot_words()]
    if words:
        match = rng.choice(words)
        place = match.start() + rng.randrange(1, len(match.group()) - 1)
        yield message.text[:place] + message.text[place + 1] + message.text[place] + message.text[place + 2 :]


@cache
def _slot_words() -> frozenset[str]:
    return frozenset(word.lower() for names in slots()["names"].values() for name in names for word in name.split())


_DECIDING = frozenset("不没無无别勿未好坏差烂贵便宜快慢退错难真太很最都才就还又再被让给吗呢了的得地")
"""Characters that may carry the answer alone, or are too common to be mistyped."""


def _homophone(text: str, rng: random.Random) -> str | None:
    by_sound = _homophones()
    places = [
        number
        for number, letter in enumerate(text)
        if letter not in _DECIDING and len(by_sound.get(_sound(letter), "")) > 1 and re.match(f"[{HAN_LETTER}]", letter)
    ]
    if not places:
        return None
    place = rng.choice(places)
    others = by_sound[_sound(text[place])].replace(text[place], "")
    return text[:place] + others[0] + text[place + 1 :] if others else None


@cache
def _homophones() -> dict[str, str]:
    """By sound, the characters that the corpus has most often, the commonest first; deciding ones left out."""
    counts = Counter(letter for row in read_records(CORPUS / "zh.jsonl") for letter in row["text"] if re.match("[一-龥]", letter))
    found: dict[str, str] = defaultdict(str)
    for letter, count in counts.most_common():
        if count >= 5 and letter not in _DECIDING:
            found[_sound(letter)] += letter
    return dict(found)


@cache
def _sound(letter: str) -> str:
    from pypinyin import Style, pinyin

    return str(pinyin(letter, style=Style.TONE3)[0][0])


def _arabic_letters(message: Message, rng: random.Random) -> Iterator[str]:
    yield message.text.replace("ی", "ي").replace("ک", "ك")


def _full_width(message: Message, rng: random.Random) -> Iterator[str]:
    if message.language != "fa":
        yield re.sub("[0-9A-Za-z]", lambda match: chr(ord(match.group()) + 0xFEE0), message.text)


def _spaces(message: Message, rng: random.Random) -> Iterator[str]:
    """Hard spaces, and an invisible sign at the beginning."""
    yield "\ufeff" + message.text.replace(" ", "\u00a0")


_KINDS: dict[str, Callable[[Message, random.Random], Iterator[str]]] = {
    "half-spaces": _half_spaces,
    "casing": _casing,
    "digits": _digits,
    "emoji": _emoji,
    "names": _names,
    "order numbers": _orders,
    "greeting": _greeting,
    "typo": _typo,
    "arabic letters": _arabic_letters,
    "full width": _full_width,
    "spaces": _spaces,
}
