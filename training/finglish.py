"""Persian as people type it in Latin letters ("kheili khoob bood"): approximate, and varied like people's spelling.

Persian script leaves short vowels out, so common words stand in `finglish.txt`; their endings and the verbs' forms are made
here; what is in neither is spelled letter by letter with a likely vowel between consonants. `data/latin_persian.py` is the way
back to a plain spelling. Meant for training rows and tests, not for showing to anyone: names come out wrong.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from data.scripts import ARABIC_LETTER, ARABIC_MARK

LEXICON = Path(__file__).with_name("finglish.txt")
VOWELS = "aeiou"


def _pairs(written: str) -> list[tuple[str, str]]:
    """Entries `persian=latin`, parted by spaces."""
    return [(persian, latin) for persian, _, latin in (entry.partition("=") for entry in written.split())]


_TOKEN = re.compile(f"[{ARABIC_LETTER}{ARABIC_MARK}\u200c]+|[^{ARABIC_LETTER}{ARABIC_MARK}\u200c]+")
_APART = re.compile(f"(?<![{ARABIC_LETTER}])(ن?می) (?=[{ARABIC_LETTER}])")
_PLURAL_APART = re.compile(f"(?<=[{ARABIC_LETTER}]) (?=ها(?:ی|یی|ش|شون|تون)?(?![{ARABIC_LETTER}]))")
_SIGNS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩،؛؟٪٫«»", '01234567890123456789,;?%.""')
_ARABIC = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "أ": "ا", "إ": "ا", "ۀ": "ه", "\u0640": None})

_PREFIXES = {"می": "mi", "نمی": "nemi", "ن": "na", "ب": "be", "": ""}
_PRESENT = dict(_pairs("م=am ی=i ه=e یم=im ین=in ید=id ن=an ند=and د=ad مش=amesh نش=anesh"))
_PAST = {"": "", **_PRESENT}
del _PAST["د"]
_ENDINGS_OF = {
    "n": """
ها=ha ات=at ان=an ا=a
""",
    "a": """
ترین=tarin تر=tar
""",
    "w": """
هاشون=hashoon هاتون=hatoon هامون=hamoon هایی=hayi هارو=haro اشون=ashoon اتون=atoon امون=amoon های=haye هاش=hash هام=ham
هات=hat تره=tare شون=eshoon تون=etoon مون=emoon شان=eshan تان=etan مان=eman اش=ash ام=am ای=aye یی=yi یم=im ین=in ید=id ست=st
یش=ish یه=ie مو=amo تو=eto شو=esho رو=ro م=am ت=et ش=esh ه=e ی=i و=o ن=an
""",
}
"""By what the whole is then: a noun still (n), an adjective (a), or a word closed to further endings (w)."""
_ENDINGS: tuple[tuple[str, str, str], ...] = tuple(
    sorted(
        ((persian, latin, kind) for kind, written in _ENDINGS_OF.items() for persian, latin in _pairs(written)),
        key=lambda ending: -len(ending[0]),
    )
)
"""Persian, Latin, kind; the longest whose stem is known counts."""
_LATIN_OF = "ب=b پ=p ت=t ث=s ج=j چ=ch ح=h خ=kh د=d ذ=z ر=r ز=z ژ=zh س=s ش=sh ص=s ض=z ط=t ظ=z غ=gh ف=f ق=gh ک=k گ=g ل=l م=m ن=n"
_CONSONANTS = dict(_pairs(_LATIN_OF))
_PRONOUNS = {"من", "ما", "شما", "تو", "خودم", "خودتون", "خودشون", "این", "اون"}
_LIGHT = (
    "بود نبود شد نشد است نیست شده نشده کرد کردم کردن کنید کنین کنم میشه نمیشه میکنه میکنم دادن دادم زدم زدن داره نداره هست دارم"
)
_LIGHT_VERBS = frozenset(_LIGHT.split())
"""After these a noun and the word before it are subject and predicate: no linking -e."""


@dataclass(frozen=True)
class _Word:
    latin: str
    kind: str
    """`n` noun, `a` adjective, `v` verb, `w` other or closed by an ending, `?` unknown, `.` no Persian word."""


@dataclass(frozen=True)
class _Writer:
    """One person's habits, kept through a message."""

    replaced: tuple[tuple[re.Pattern[str], str], ...]
    link: str
    """What stands for the linking -e: `e` attached, ` e` apart, or nothing."""
    first_spelling: float
    """How often the commonest of several spellings is taken, 0 to 1."""

    @classmethod
    def of(cls, rng: random.Random) -> _Writer:
        choices = (("oo", "u", 0.3), ("ei|ey", "ey", 0.5), ("gh", "q", 0.12), ("kh", "x", 0.04), (r"(?<=[^aey]e)$", "h", 0.05))
        replaced = tuple((re.compile(old), new) for old, new, share in choices if rng.random() < share)
        return cls(replaced, rng.choices(("e", " e", ""), (0.7, 0.08, 0.22))[0], rng.uniform(0.5, 1.0))

    def spell(self, word: str) -> str:
        for old, new in self.replaced:
            word = old.sub(new, word)
        return word


def to_latin(text: str, rng: random.Random | None = None) -> str:
    """Write a Persian text in Latin letters; what is not Persian stays. Without `rng`, always the same way."""
    rng = rng or random.Random(0)
    writer = _Writer.of(rng)
    text = _PLURAL_APART.sub("\u200c", _APART.sub(r"\1" + "\u200c", text.translate(_ARABIC)))
    tokens = _TOKEN.findall(text)
    words = [_word(token, writer, rng) for token in tokens]
    parts = []
    for number, (token, word) in enumerate(zip(tokens, words, strict=True)):
        if word.kind == ".":
            parts.append(token.translate(_SIGNS))
            continue
        latin = writer.spell(word.latin)
        if word.kind == "n" and not latin.endswith("ye") and _links(tokens, words, number, rng):
            latin += writer.link if not latin.endswith(tuple(VOWELS)) or not writer.link else "ye" if latin[-1] != "i" else "e"
        parts.append(latin)
    return "".join(parts)


def share_known(text: str) -> float:
    """Share of the Persian words of a text that the lexicon, the endings or the verb forms know, 0 to 1; 1 without any word."""
    rng = random.Random(0)
    text = _PLURAL_APART.sub("\u200c", _APART.sub(r"\1" + "\u200c", text.translate(_ARABIC)))
    kinds = [word.kind for token in _TOKEN.findall(text) if (word := _word(token, _Writer.of(rng), rng)).kind != "."]
    return 1 - kinds.count("?") / len(kinds) if kinds else 1.0


def _links(tokens: Sequence[str], words: Sequence[_Word], number: int, rng: random.Random) -> bool:
    """Whether the noun takes the linking -e: another noun or an adjective follows and no verb closes the two."""
    if number + 2 >= len(tokens) or tokens[number + 1] != " ":
        return False
    follower = words[number + 2]
    if tokens[number + 2] not in _PRONOUNS and follower.kind not in "na?":
        return False
    closed = number + 4 < len(tokens) and tokens[number + 4].replace("\u200c", "") in _LIGHT_VERBS
    return rng.random() < (0.1 if closed else 0.5 if follower.kind == "?" else 0.8)


def _word(token: str, writer: _Writer, rng: random.Random) -> _Word:
    if not re.search(f"[{ARABIC_LETTER}]", token):
        return _Word(token, ".")
    whole = _plain(token)
    if found := _known(whole, writer, rng):
        return found
    pieces = [piece for piece in token.split("\u200c") if piece]
    if len(pieces) > 1:
        made = [_known(_plain(piece), writer, rng) or _Word(_spelled(_plain(piece), rng), "?") for piece in pieces]
        ending = next((entry for entry in _ENDINGS if entry[0] == pieces[-1]), None)
        if ending and len(pieces) == 2:
            return _Word(_joined(made[0].latin, ending[1]), ending[2])
        return _Word("".join(word.latin for word in made), made[-1].kind)
    return _Word(_spelled(whole, rng), "?")


def _known(word: str, writer: _Writer, rng: random.Random, endings: int = 2) -> _Word | None:
    entry = _lexicon().get(word)
    if entry:
        spellings, kind = entry
        first = len(spellings) == 1 or rng.random() < writer.first_spelling
        return _Word(spellings[0] if first else rng.choice(spellings[1:]), kind)
    for persian, latin, kind in _ENDINGS if endings else ():
        if word.endswith(persian) and len(word) - len(persian) >= 2:
            stem = _known(word[: -len(persian)], writer, rng, endings - 1)
            if stem and stem.kind != "v":
                return _Word(_joined(stem.latin, latin), kind)
    return None


def _joined(stem: str, ending: str) -> str:
    """The ending after the stem: baste + am is bastam, gooshi + am is gooshim, name + i is nameye."""
    if stem[-1] in VOWELS and ending[0] in VOWELS:
        if ending == "i":
            return stem + "ye" if stem[-1] in "ea" else stem + "i"
        if ending == "o":
            return stem + "o" if stem[-1] == "i" else stem + "ro"
        if stem[-1] == "e":
            return stem[:-1] + "a" + ending[1:]
        return stem + (ending[1:] or ending)
    if stem[-1] == "e" and ending[0] not in "hr":
        return stem[:-1] + "a" + ending
    return stem + ending if ending != "st" or stem[-1] in VOWELS else stem + "ast"


@cache
def _lexicon() -> Mapping[str, tuple[tuple[str, ...], str]]:
    """By Persian word without half-spaces: its spellings and its kind."""
    words: dict[str, tuple[tuple[str, ...], str]] = {}
    stems: dict[str, dict[str, str]] = {"present stems": {}, "past stems": {}}
    section = ""
    for line in LEXICON.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.strip() and not line.startswith("#"):
            items = line.split()
            for persian, latin in zip(items[::2], items[1::2], strict=True):
                if section in stems:
                    stems[section][persian] = latin
                else:
                    words.setdefault(_plain(persian), (tuple(latin.split("/")), section[0]))
    for name, endings in (("present stems", _PRESENT), ("past stems", _PAST)):
        for stem, latin in stems[name].items():
            for prefix, before in _PREFIXES.items():
                if name == "past stems" and prefix == "ب":
                    continue
                if name == "present stems" and not prefix:
                    continue
                for ending, after in endings.items():
                    words.setdefault(prefix + stem + ending, ((before + latin + after,), "v"))
    return words


def _plain(word: str) -> str:
    return re.sub(f"[\u200c{ARABIC_MARK}]", "", word.translate(_ARABIC))


def _spelled(word: str, rng: random.Random) -> str:
    """Letter by letter, with a short vowel where consonants need one."""
    sounds: list[str] = []
    for number, letter in enumerate(word):
        before = sounds[-1][-1:] if sounds else ""
        after = word[number + 1 : number + 2]
        sounds.append(_sound(letter, before, after, number == 0))
    sounds = [sound for sound in sounds if sound]
    vowel = [sound[-1] in VOWELS for sound in sounds]
    spelled = ""
    for number, sound in enumerate(sounds):
        spelled += sound
        if vowel[number] or number + 1 == len(sounds) or vowel[number + 1]:
            continue
        # A consonant before a consonant.
        first = number == 0 or (not vowel[number - 1] and spelled[-len(sound) - 1 :][0] not in VOWELS)
        last = number + 2 == len(sounds)
        if last and not first and (sounds[number + 1] in "td" or (number and not vowel[number - 1])):
            continue
        if first or last:
            spelled += rng.choices("aeo", (0.55, 0.33, 0.12))[0]
    return spelled


def _sound(letter: str, before: str, after: str, first: bool) -> str:
    """One letter in Latin; `before` is the last sign written, `after` the next Persian letter."""
    if letter in _CONSONANTS:
        return _CONSONANTS[letter]
    if letter == "آ":
        return "a"
    if letter == "ا":
        return "" if first and after in ("ی", "و") else "e" if first and after in tuple("نسشج") else "a"
    if letter == "و":
        if first or before in VOWELS or (after and after in "اآی"):
            return "v"
        return "oo"
    if letter == "ی":
        return "y" if (first and after) or (before and before in VOWELS) else "i"
    if letter == "ه":
        return "e" if not after and before and before not in VOWELS else "h"
    if letter == "ع":
        return "" if not after or after in "اآوی" else "a"
    return {"ئ": "y", "ؤ": "o"}.get(letter, "")
