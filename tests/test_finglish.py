import random
import re

import pytest

from data.language import identify
from data.latin_persian import plain_spelling
from training.finglish import share_known, to_latin


@pytest.mark.parametrize(
    ("persian", "latin"),
    [
        ("سلام، خیلی خوب بود", "salam, keyli xub bud"),
        ("واقعا ممنون", "vaghean mamnun"),
        ("نمی‌شه", "nemishe"),
        ("نمی شه", "nemishe"),
        ("کیفیتش عالی نبود", "keyfiatesh ali nabud"),
        ("بسته‌ام نرسید", "bastam naresid"),
        ("بسته‌ها", "basteha"),
        ("بوی بد", "buye bad"),
        ("گوشیم خراب شد", "gushim xarab shod"),
        ("غذاهاشون سرد بود", "qazahashun sard bud"),
        ("۲۴ ساعت؟", "24 saat?"),
    ],
)
def test_words_endings_and_verbs_are_written_as_people_write_them(persian, latin):
    def plain(text):
        words = re.findall("[a-z]+|[^a-z]+", text)
        return "".join(plain_spelling(word) for word in words)

    written = {plain(to_latin(persian, random.Random(seed))) for seed in range(40)}
    assert plain(latin.replace("keyli", "kheyli")) in written


def test_a_word_in_no_list_is_spelled_with_vowels_between_its_consonants():
    for seed in range(20):
        assert re.fullmatch("z[aeo]kht", to_latin("زخت", random.Random(seed)).replace("x", "kh"))
        assert re.fullmatch("p[aeo]rn[aeo]d", to_latin("پرند", random.Random(seed)))


def test_nothing_persian_is_left_and_what_is_not_persian_stays():
    latin = to_latin("اپ Snapp! رو آپدیت کردم، «باگ» داشت 😡 https://a.example/b", random.Random(3))
    assert not re.search("[\u0600-\u06ff\u200c]", latin)
    assert "Snapp!" in latin
    assert "😡 https://a.example/b" in latin
    assert '"' in latin


def test_spelling_varies_between_writers_and_one_seed_repeats_it():
    text = "خیلی خوب بود ولی قیمت غذا گرون شده، دیگه سفارش نمیدم"
    written = {to_latin(text, random.Random(seed)) for seed in range(30)}
    assert len(written) > 8
    assert to_latin(text, random.Random(7)) == to_latin(text, random.Random(7))
    assert to_latin(text) == to_latin(text)


def test_what_is_written_is_known_as_persian_again(corpus_rows):
    texts = [row["text"] for row in corpus_rows("fa") if re.search("[\u0600-\u06ff]", row["text"]) and len(row["text"]) > 30]
    rng = random.Random(0)
    chosen = rng.sample(texts, 300)
    found = sum(identify(to_latin(text, rng)).code == "fa" for text in chosen) / len(chosen)
    assert found > 0.9


def test_the_lexicon_knows_most_words_of_feedback(corpus_rows):
    texts = [row["text"] for row in corpus_rows("fa") if row["split"] == "train"][:600]
    assert sum(map(share_known, texts)) / len(texts) > 0.75


def test_arabic_letters_are_read_as_persian_ones():
    assert to_latin("كيفيت خوبي") == to_latin("کیفیت خوبی")
