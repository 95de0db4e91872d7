"""What people's hands, keyboards and scripts do to a text, a function a kind: the text itself where there is nothing to change."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from data.scripts import ARABIC_LETTER, HAN_LETTER
from training.finglish import to_latin

MIN_WORD_LETTERS = 5
"""Shorter words are not respelled: one letter makes `no` of `not`, and نه of نیست."""
MIN_WORDS_WITHOUT_EMOJI = 5
"""From so many words on an emoji may be left out; in shorter messages it may be all that tells the tone."""

_PERSIAN = re.compile(f"[{ARABIC_LETTER}]")
_HAN = re.compile(f"[{HAN_LETTER}]")
_LATIN = re.compile("[A-Za-z]")
_EMOJI = re.compile(
    "[\U0001f300-\U0001faff\u2600-\u27bf]\ufe0f?[\U0001f3fb-\U0001f3ff]?(?:\u200d[\U0001f300-\U0001faff\u2600-\u27bf]\ufe0f?)*"
)
_EDGE = r"(?<![^\W_]){}(?![^\W_])"
_LINK = re.compile(r"https?://|www\.|@\w")


# Scripts


def persian_in_latin(text: str, rng: random.Random) -> str:
    return to_latin(text, rng) if _PERSIAN.search(text) else text


def other_chinese(text: str, rng: random.Random) -> str:
    """Simplified to Traditional (plain, or with Taiwan's or Hong Kong's words and forms), Traditional to Simplified."""
    if not _HAN.search(text):
        return text
    simplified = _converter("t2s").convert(text)
    if simplified != text:
        return str(simplified)
    return str(_converter(rng.choice(("s2t", "s2tw", "s2twp", "s2hk"))).convert(text))


@cache
def _converter(name: str) -> Any:
    from opencc import OpenCC  # here, because its tables take a moment

    return OpenCC(name)


_DIGITS = {
    "persian": str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"),
    "arabic": str.maketrans("0123456789۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩" * 2),
    "latin": str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2),
}
_CHINESE_DIGITS = dict(zip("123456789", "一两三四五六七八九", strict=True))
_CHINESE_NUMBER = re.compile(r"(?<![0-9A-Za-z.:/一二三四五六七八九十第-])[1-9](?=[个天次年月周层件条张块位种遍分小家])")


def other_digits(text: str, rng: random.Random) -> str:
    if _LINK.search(text):
        return text
    if _HAN.search(text):
        return _CHINESE_NUMBER.sub(lambda match: _CHINESE_DIGITS[match.group()], text)
    if not _PERSIAN.search(text):
        return text
    if re.search("[۰-۹٠-٩]", text):
        return text.translate(_DIGITS[rng.choice(("latin", "latin", "arabic"))])
    return text.translate(_DIGITS["persian"])


# Spaces, case


_VERB_PREFIX = re.compile(f"(?<![{ARABIC_LETTER}])(ن?می)[ \u200c](?=[{ARABIC_LETTER}])")
_PLURAL = re.compile(f"(?<=[{ARABIC_LETTER}])[ \u200c](?=ها(?:ی|یی|ش|شون|تون|یش)?(?![{ARABIC_LETTER}]))")


def half_spaces(text: str, rng: random.Random) -> str:
    """Half-spaces to spaces or to nothing, and spaces where one belongs to a half-space or to nothing."""
    if "\u200c" in text:
        return text.replace("\u200c", rng.choice((" ", "")))
    joined = rng.choice(("\u200c", ""))
    return _PLURAL.sub(joined, _VERB_PREFIX.sub(rf"\1{joined}", text))


def casing(text: str, rng: random.Random) -> str:
    if len(_LATIN.findall(text)) < 3 or _LINK.search(text):
        return text
    return rng.choice((str.lower, str.lower, str.lower, str.upper, str.title if len(text) < 40 else str.lower))(text)


# Spelling


def respelling(text: str, rng: random.Random) -> str:
    """A letter swapped, dropped or doubled inside one long word, or words as many people write them."""
    if _LINK.search(text):
        return text
    if _HAN.search(text):
        return _confused(text, _CHINESE_CONFUSED, rng)
    changed = _habits(text, rng)
    if changed != text and rng.random() < 0.5:
        return changed
    words = [match for match in re.finditer(r"[^\W\d_]+", text) if len(match.group()) >= MIN_WORD_LETTERS]
    if not words:
        return changed
    for match in rng.sample(words, min(len(words), 1 + (len(words) > 12))):
        word = match.group()
        place = rng.randrange(1, len(word) - 2)  # neither the first letter, which may say no, nor the last
        typo = rng.choice(
            (
                word[:place] + word[place + 1] + word[place] + word[place + 2 :],
                word[:place] + word[place + 1 :],
                word[:place] + word[place] + word[place:],
            )
        )
        text = text[: match.start()] + typo + text[match.end() :] if len(typo) == len(word) else text.replace(word, typo, 1)
    return text


_ENGLISH_HABITS = """
you=u, your=ur, are=r, please=pls, thanks=thx, thank you=thank u, because=cuz, really=rly, don't=dont, doesn't=doesnt, can't=cant,
won't=wont, didn't=didnt, isn't=isnt, it's=its, i'm=im, to be honest=tbh, though=tho, people=ppl, and=&, with=w, message=msg,
tomorrow=tmrw, definitely=definately, received=recieved, separate=seperate, their=there, than=then, could have=could of
"""
_PERSIAN_HABITS = """
که=ک, به=ب, خیلی=خیلیی, واقعا=واقعن, لطفا=لطفن, اصلا=اصن, حتما=حتمن, مرسی=مرصی, ممنون=ممنوون, خواهش=خاهش, آن=ان, آب=اب, آقا=اقا,
آخر=اخر, آدم=ادم, آنلاین=انلاین, آمد=امد, راضی=راظی, دیگه=دیگ, باطری=باتری, باتری=باطری, است=هست, چقدر=چقد, اینقدر=انقد,
بذارید=بزارید, بذارین=بزارین, گذاشتم=گزاشتم, خواستم=خاستم, می‌خواهم=می‌خوام, را=رو
"""
_CHINESE_CONFUSED = (
    "的得地",
    "在再",
    "做作",
    "已以",
    "账帐",
    "象像",
    "那哪",
    "吗嘛",
    "他她它",
    "座坐",
    "带戴",
    "份分",
    "包饱",
    "记计",
    "元圆",
    "了啦",
    "挺停",
    "真珍",
    "查察",
)


def _habits(text: str, rng: random.Random) -> str:
    for word, habit in _read_habits(_PERSIAN_HABITS if _PERSIAN.search(text) else _ENGLISH_HABITS):
        if rng.random() < 0.6:
            text = re.sub(_EDGE.format(re.escape(word)), habit, text, flags=re.IGNORECASE)
    return text


@cache
def _read_habits(written: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, habit) for word, _, habit in (entry.partition("=") for entry in re.split(r",\s+", written.strip())))


def _confused(text: str, groups: Iterable[str], rng: random.Random) -> str:
    """One or two characters exchanged for another of their group: sounds or shapes alike."""
    by_letter = {letter: group for group in groups for letter in group}
    places = [number for number, letter in enumerate(text) if letter in by_letter]
    letters = list(text)
    for place in rng.sample(places, min(len(places), rng.choice((1, 2)))):
        letters[place] = rng.choice(by_letter[text[place]].replace(text[place], ""))
    return "".join(letters)


# Signs


def emoji(text: str, rng: random.Random) -> str:
    """An emoji of the text repeated or left out; where it has none, one that tells no mood added."""
    found = list(_EMOJI.finditer(text))
    if not found:
        return text.rstrip() + rng.choice(("", " ")) + rng.choice("📱📦🛒📞📝📷🧾💬👀🙏")
    match = rng.choice(found)
    enough = (
        len(found) > 1 or len(text.split()) >= MIN_WORDS_WITHOUT_EMOJI or len(_HAN.findall(text)) >= 2 * MIN_WORDS_WITHOUT_EMOJI
    )
    times = rng.choice((0, 2, 3)) if enough else rng.choice((2, 3))
    return (text[: match.start()] + match.group() * times + text[match.end() :]).strip()


_RUN = re.compile(r"([!！?？。~～…])\1*")


def punctuation(text: str, rng: random.Random) -> str:
    """Signs at the end or within repeated, thinned or dropped; a question mark stays one at least."""
    choice = rng.randrange(3)
    if choice == 0 and (bare := re.sub(r"(?<!\.)[.。!！،,，]+\s*$", "", text)) != text:
        return bare
    if choice == 1 and re.search("[,،，;؛；]", text):
        return re.sub("[,،;؛](?=\\s)|[，；]", lambda match: " " if match.group() in "，；" else "", text)
    if _RUN.search(text):
        times = rng.choice((1, 2, 3))
        return _RUN.sub(lambda match: match.group(1) * times, text)
    last = text.rstrip()[-1:]
    return (
        text
        if not last or last in "?؟？" or not last.isalnum()
        else text.rstrip() + rng.choice("。!" if _HAN.search(text) else (".", ".", "..", "...", "!"))
    )


_GREETINGS = {
    "zh": ("你好，", "您好，", "亲，", "你好！", "哈喽，"),
    "en": ("Hi, ", "Hello, ", "hello ", "Hi there, ", "Hey, ", "Good morning, ", "Dear team, "),
    "fa": ("سلام، ", "سلام ", "با سلام ", "سلام وقت بخیر، ", "درود ", "سلام خسته نباشید، "),
    "finglish": ("salam ", "salam, ", "slm ", "salam vaght bekheir, "),
}
_GREETED = re.compile(r"^\W*(?:hi|hey|hello|dear|good|salam|slm|dorood|سلام|با سلام|درود|你好|您好|亲|親|哈喽)", re.IGNORECASE)


def greeting(text: str, rng: random.Random) -> str:
    if _GREETED.match(text) or len(text) > 600:
        return text
    spoken = "zh" if _HAN.search(text) else "fa" if _PERSIAN.search(text) else "en" if _LATIN.search(text) else ""
    return rng.choice(_GREETINGS[spoken]) + text if spoken else text


_REFERENCES = {
    "zh": ("订单{number}，", "单号{number}：", "我是{name}，", "{name}说："),
    "en": ("Order {number}: ", "Ref {number}. ", "{name} here. ", "re {number} - "),
    "fa": ("سفارش {number}، ", "کد پیگیری {number}. ", "{name} هستم. ", "شماره {number}: "),
}
_NAMES = {
    "zh": ("李娜", "小张", "刘先生", "王姐", "阿芳", "赵磊", "孙老师"),
    "en": ("Emma", "Liam", "Mrs Jones", "Ahmed", "Olu", "Grace", "Pedro", "Mei"),
    "fa": ("علی", "مریم", "خانم کریمی", "آقای احمدی", "زهرا", "حسین", "الهام"),
}


def reference(text: str, rng: random.Random) -> str:
    """An order number or the writer's name put before or behind: a model must not take it for what the message is about."""
    spoken = "zh" if _HAN.search(text) else "fa" if _PERSIAN.search(text) else "en" if _LATIN.search(text) else ""
    if not spoken or len(text) > 600:
        return text
    number = rng.choice(("", "A", "K-", "#", "INV", "SP-")) + str(rng.randrange(1000, 10 ** rng.choice((5, 6, 8))))
    name = rng.choice(_NAMES[spoken])
    if rng.random() < 0.4:
        return f"{text.rstrip()} {rng.choice((f'({number})', f'- {name}', f'#{number}', name))}"
    return rng.choice(_REFERENCES[spoken]).format(number=number, name=name) + text
