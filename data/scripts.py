"""What the letters of a message tell about its language, before any model is asked."""

from __future__ import annotations

import re

ARABIC_LETTER = "\u0620-\u063a\u0641-\u064a\u066e-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06fc\u06ff\ufb50-\ufdfb\ufe70-\ufefc"
"""Letters of all languages in Arabic script, presentation forms included, as the inside of a character class."""
ARABIC_MARK = "\u064b-\u0655\u0670"
HAN_LETTER = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
KANA_LETTER = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d"
HANGUL_LETTER = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3"

_ARABIC_WORD = re.compile(rf"[{ARABIC_LETTER}{ARABIC_MARK}\u0640]+")
_LETTERS_OF_OTHERS = {
    # Letters that Persian does not have, by the language that has them; the first that is found decides.
    "ug": re.compile("[ۇۈۋ]"),
    "sd": re.compile("[ٻڀٿڄڃڇڊڏڌڙڳڱڻڦ]"),
    "ps": re.compile("[ښږټډړځڅڼې]"),
    "ckb": re.compile("[ێۆڵڕ]"),
    "ur": re.compile("[ٹڈڑںے]"),
}
_PERSIAN_LETTER = re.compile("[پچژگکی]")
_PERSIAN = """
است بود هست نیست نبود خیلی خوب بد بدک را رو که این آن اون از به با در هم می نمی برای برا شد شده نشد کرد کردم کرده کردن
داره دارد ندارد ندارم نداره داشت دارم دارن ممنون مرسی تشکر لطفا لطفاً سلام عالی چرا تا یک یه هر اگر اگه ولی باید هیچ چه
شما ها دیگه دیگر بسیار خودم خرید خریدم راضی نخرید بدم بده میشه شود بشه نشه کن کنید کنم واقعا اصلا هنوز خدا خدمات تمام
همه چند هزار تومان کاربر روز سال بدون وقت فقط حتما نظر نمره سفارش سرد گرم تازه دیر زود آمد رسید رسیده نرسید
"""
_PERSIAN_WORDS = frozenset(_PERSIAN.split())
_ARABIC = """
في على الى إلى هذا هذه هذي ذلك التي الذي لم لن ليس ليست كان كانت يكون شكرا شكراً جيد جيده سيئ سيء سيئه رائع رائعه أنا نحن
انا أنت انت هو هي مع عن أن إن متى أين اين لماذا كيف هل ثم عند كثيرا مرحبا مرحبًا لكن ولكن مش مو شو ليش وين كتير والله
عليكم توصيل تطبيق سعر حلو وصلني يصل يعمل اعمل اشتري اشتريت أنصح انصح افضل أفضل اسوأ أسوأ منتج طعام بارد متأخر غالي بطيء
جداً يوجد نعم الآن
"""
_ARABIC_WORDS = frozenset(_ARABIC.split())
_PERSIAN_IN_AL = (
    "الان البت الکی الكي الله الهی الهي الها المپ الگو الما الکت الكت الاغ الخ الف العاد البر الناز الیه اليه الل القا الز الک"
)
"""Beginnings of Persian words that look as if they had the Arabic article."""
_PERSIAN_WORDS_IN_AL = tuple(_PERSIAN_IN_AL.split())


def arabic_script_language(text: str) -> str:
    """Return the language of a text in Arabic script: fa, ar, ur, ps, ckb, sd or ug.

    Persian unless something speaks against it: its short messages often hold no letter that Arabic lacks,
    and many are typed with the Arabic ي and ك.
    """
    words = [word.strip("\u0640") for word in _ARABIC_WORD.findall(text)]
    persian = sum(_persian_weight(word) for word in words)
    for code, letters in _LETTERS_OF_OTHERS.items():
        if len(letters.findall(text)) > persian / 4:
            return code
    if "ہ" in text and "ه" not in text:
        return "ur"
    arabic = sum(_arabic_weight(word) for word in words)
    return "ar" if arabic >= 1 and arabic >= persian else "fa"


def _persian_weight(word: str) -> float:
    as_persian = word.replace("ي", "ی").replace("ك", "ک")
    if as_persian in _PERSIAN_WORDS or as_persian.startswith(("نمی", "می‌")):
        return 2.0
    return 1.5 if _PERSIAN_LETTER.search(word) else 0.0


def _arabic_weight(word: str) -> float:
    if word in _ARABIC_WORDS:
        return 2.0
    if word.endswith("ة"):
        return 2.0
    if len(word) > 3 and word.startswith(("ال", "وال", "بال", "لل")) and not word.startswith(_PERSIAN_WORDS_IN_AL):
        return 1.5 if word.startswith("ال") else 0.8
    return 0.8 if word[:1] in "أإ" or word.endswith(("ؤ", "ئ")) else 0.0
