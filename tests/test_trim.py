import errno
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from data.errors import ConfigError, DataError
from training.alphabet import PERSIAN_DIGITS, PERSIAN_LETTERS, alphabet, common_han, script
from training.base import Checkpoint
from training.segmentation import compare_segmentation, piece_use
from training.trim import TrimReport, trim, trim_to_files

ZH = [
    "快递太慢了，等了整整三天！", "客服态度很好，問題馬上解決。", "希望增加夜间模式～", "軟體一直閃退，請儘快修復。",
    "价格便宜，质量也不错👍",
]  # fmt: skip
EN = [
    "The delivery was late, 3 days late!", "Great support, thank you :)", "Please add a dark mode.",
    "The app crashes at login (v2.1).",
]  # fmt: skip
FA = [
    "غذا سرد بود و پیک دیر رسید.", "پشتیبانی خیلی خوب بود، ممنون!", "لطفاً حالت شب را اضافه کنید؛ می‌خواهم.",
    "چرا پولم برنگشته است؟ ۱۲۳",
]  # fmt: skip
OTHERS = [
    "Доставка опоздала на три дня, очень плохо.", "Спасибо за быструю помощь, всё отлично!", "การจัดส่งช้ามากและกล่องก็ขาด",
    "배송이 너무 늦어서 실망했습니다.", "המשלוח איחר בשלושה ימים", "Η παράδοση άργησε τρεις ημέρες.", "ပို့ဆောင်မှု နောက်ကျသည်",
]  # fmt: skip
OURS = [*ZH, *EN, *FA]
TEXTS = {"zh": ZH, "en": EN, "fa": FA}
WIDTH, POSITIONS = 16, 96


def unigram(byte_fallback: bool = False) -> Tokenizer:
    """A small Unigram tokenizer of XLM-R's kind, trained on seven more languages than ours."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    special += [f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []
    trainer = trainers.UnigramTrainer(
        vocab_size=900, special_tokens=special, unk_token="<unk>", initial_alphabet=sorted({*"的是囉щ😀☺"}), show_progress=False
    )
    tokenizer.train_from_iterator([*OURS, *OTHERS] * 3, trainer)
    document = json.loads(tokenizer.to_str())
    pieces = document["model"]["vocab"]  # so small a text gives mostly letters: add the texts' words
    words = sorted(
        {f"▁{word}" for text in [*OURS, *OTHERS] for word in text.split()} | {text[at : at + 2] for text in ZH for at in (0, 2)}
    )
    pieces += [[word, -7.0 - index / 64] for index, word in enumerate(words) if word not in dict(pieces)]
    document["model"]["byte_fallback"] = byte_fallback
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])  # its id stands after the model's pieces
    return tokenizer


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=sorted({*"的щ😀"}), show_progress=False
    )
    tokenizer.train_from_iterator([*OURS, *OTHERS] * 3, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(POSITIONS)
    return tokenizer


def save(folder: Path, tokenizer: Tokenizer, kind: str) -> Path:
    """A checkpoint with random weights; a few rows more than pieces, as XLM-R has."""
    torch.manual_seed(0)
    size = {"vocab_size": tokenizer.get_vocab_size() + 5, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    size |= {"intermediate_size": 24, "max_position_embeddings": POSITIONS}
    angles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    brackets = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    if kind == "xlm-roberta":
        model = XLMRobertaModel(XLMRobertaConfig(**size, pad_token_id=1, bos_token_id=0, eos_token_id=2))
    elif kind == "deberta-v2":
        model = DebertaV2Model(
            DebertaV2Config(**size, pad_token_id=1, relative_attention=True, pos_att_type=["p2c", "c2p"], max_relative_positions=-1)
        )
    else:
        model = BertModel(BertConfig(**size, pad_token_id=0))
    model.save_pretrained(folder)
    names = brackets if kind == "bert" else {**angles, "cls_token": "<s>", "sep_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS - 4, **names).save_pretrained(folder)
    return folder


KINDS = {
    "unigram": (unigram, "xlm-roberta"),
    "unigram with bytes": (lambda: unigram(byte_fallback=True), "deberta-v2"),
    "wordpiece": (wordpiece, "bert"),
}


@pytest.fixture(scope="module", params=list(KINDS))
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make, kind = KINDS[request.param]
    return save(tmp_path_factory.mktemp("bases") / request.param.replace(" ", "-"), make(), kind)


@pytest.fixture(scope="module")
def unigram_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bases") / "unigram", unigram(), "xlm-roberta")


@pytest.fixture(scope="module")
def trimmed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trim(base, tmp_path_factory.mktemp("trimmed") / base.name, OURS).output


def words(texts: Iterable[str]) -> list[str]:
    return [text[start : start + length] for text in texts for start in range(0, len(text) - 2, 3) for length in (3, 9, 30)]


def test_texts_of_kept_pieces_get_the_same_pieces_and_exactly_the_same_vectors(base, trimmed):
    before, after = Checkpoint.load(base), Checkpoint.load(trimmed)
    kept = set(after.tokenizer.get_vocab())
    checked = 0
    for text in [*OURS, *words(OURS), *words(OTHERS)]:
        pieces = before.tokenizer.convert_ids_to_tokens(before.tokenizer(text)["input_ids"])
        if not kept.issuperset(pieces) or "[UNK]" in pieces:
            continue
        checked += 1
        assert after.tokenizer.convert_ids_to_tokens(after.tokenizer(text)["input_ids"]) == pieces
        assert torch.equal(after.states(text), before.states(text))
    assert checked > len(OURS)
    assert all(kept.issuperset(before.tokenizer.tokenize(text)) for text in OURS)


def test_the_vocabulary_is_smaller_and_without_other_languages(base, trimmed):
    before, after = Checkpoint.load(base), Checkpoint.load(trimmed)
    assert len(after.tokenizer) < len(before.tokenizer)
    assert after.model.config.vocab_size == len(after.tokenizer) == after.model.get_input_embeddings().weight.shape[0]
    assert sorted(after.tokenizer.get_vocab().values()) == list(range(len(after.tokenizer)))
    lost = set(before.tokenizer.get_vocab()) - set(after.tokenizer.get_vocab())
    assert any("щ" in piece for piece in lost)
    assert not any(piece.isascii() and len(piece) == 1 for piece in lost)


def test_every_row_and_every_other_weight_is_copied_bit_for_bit(base, trimmed):
    before, after = Checkpoint.load(base), Checkpoint.load(trimmed)
    old, new = before.model.get_input_embeddings().weight, after.model.get_input_embeddings().weight
    numbers = before.tokenizer.get_vocab()
    for piece, index in after.tokenizer.get_vocab().items():
        assert torch.equal(new[index], old[numbers[piece]])
    old_state, new_state = before.model.state_dict(), after.model.state_dict()
    assert old_state.keys() == new_state.keys()
    for name, values in old_state.items():
        assert values is not None
        assert "word_embeddings" in name or torch.equal(values, new_state[name]), name


def test_scores_stay_as_they_are(unigram_base, tmp_path):
    output = trim(unigram_base, tmp_path / "trimmed", OURS).output
    old, new = (
        dict(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]) for folder in (unigram_base, output)
    )
    assert new.items() <= old.items()
    assert min(new.values()) == min(old.values())


def test_special_tokens_padding_and_pairs_work_in_the_new_numbering(base, trimmed):
    before, after = Checkpoint.load(base), Checkpoint.load(trimmed)
    assert after.tokenizer.special_tokens_map == before.tokenizer.special_tokens_map
    for name in ("pad", "bos", "eos", "unk", "cls", "sep", "mask"):
        old, new = (getattr(one.tokenizer, f"{name}_token_id") for one in (before, after))
        assert (old is None) == (new is None)
        assert old is None or before.tokenizer.convert_ids_to_tokens(old) == after.tokenizer.convert_ids_to_tokens(new)
        configured = [getattr(one.model.config, f"{name}_token_id", None) for one in (before, after)]
        if configured[0] is not None:
            assert before.tokenizer.convert_ids_to_tokens(configured[0]) == after.tokenizer.convert_ids_to_tokens(configured[1])
    rows = [one.tokenizer([EN[0], "夜"], [FA[0], "dark"], padding=True)["input_ids"] for one in (before, after)]
    for old_row, new_row in zip(*rows, strict=True):
        assert before.tokenizer.convert_ids_to_tokens(old_row) == after.tokenizer.convert_ids_to_tokens(new_row)
    with torch.inference_mode():
        states = [one.model(**one.tokenizer(OURS, padding=True, return_tensors="pt")).last_hidden_state for one in (before, after)]
    assert torch.equal(*states)
    assert after.tokenizer.model_max_length == before.tokenizer.model_max_length


@pytest.mark.parametrize("text", ["Delivery & 100% #1?", "的是囉快遞", "پژچگ ۱۲۳؟", "😀👍☺"], ids=["en", "zh", "fa", "emoji"])
def test_known_characters_stay_known_though_no_text_has_them(base, tmp_path, text):
    before, after = Checkpoint.load(base), Checkpoint.load(trim(base, tmp_path / "trimmed", []).output)
    for character in text:
        known = [one.tokenizer.unk_token_id not in one.tokenizer(character)["input_ids"] for one in (before, after)]
        assert known[0] == known[1], character


def test_single_characters_stay_with_and_without_the_mark(unigram_base, tmp_path):
    report = trim(unigram_base, tmp_path / "trimmed", [])
    before, after = Checkpoint.load(unigram_base).tokenizer.get_vocab(), Checkpoint.load(report.output).tokenizer.get_vocab()
    single = {piece for piece in before if piece.removeprefix("▁") in alphabet() | {""}}
    assert len(single) > 100
    assert single <= set(after)


@pytest.fixture(scope="module")
def least(unigram_base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrimReport:
    """The base with nothing but what is always kept."""
    folder = tmp_path_factory.mktemp("least")
    always = trim(unigram_base, folder / "all", []).always
    return trim(unigram_base, folder / "least", OURS, keep_at_most=always)


def pieces_of(folder: Path) -> list[str]:
    tokenizer = Checkpoint.load(folder).tokenizer
    return tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))


def test_most_used_pieces_come_first(unigram_base, least, tmp_path):
    texts = [*EN * 5, *FA, *ZH]
    report = trim(unigram_base, tmp_path / "few", texts, keep_at_most=least.always + 4)
    assert (report.always, report.counted, report.filled, report.vocabulary_after) == (least.always, 4, 0, least.always + 4)
    counts = dict(
        zip(pieces_of(unigram_base), piece_use(Checkpoint.load(unigram_base).plain_tokenizer(), texts).counts, strict=True)
    )
    kept = set(pieces_of(report.output))
    chosen = kept - set(pieces_of(least.output))
    assert len(chosen) == 4
    assert min(counts[piece] for piece in chosen) >= max(counts[piece] for piece in counts.keys() - kept) > 0


def test_room_that_the_texts_leave_is_filled_with_each_scripts_best_words_down_to_one_rank(unigram_base, least, tmp_path):
    report = trim(unigram_base, tmp_path / "filled", [], keep_at_most=least.always + 6)
    assert (report.counted, report.filled) == (0, 6)
    scores = dict(json.loads((unigram_base / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
    always = set(pieces_of(least.output))
    chosen = set(pieces_of(report.output)) - always
    ranks = {}
    for name in ("latin", "han", "arabic"):
        inside = [piece for piece in scores if script(piece.removeprefix("▁")) == name]
        ranks |= {piece: rank for rank, piece in enumerate(sorted(inside, key=lambda piece: -scores[piece]))}
    assert chosen <= set(ranks)
    assert max(ranks[piece] for piece in chosen) <= min(ranks[piece] for piece in ranks.keys() - chosen - always)


def test_words_of_other_scripts_are_never_filled_in(unigram_base, tmp_path):
    report = trim(unigram_base, tmp_path / "all", [])
    lost = set(pieces_of(unigram_base)) - set(pieces_of(report.output))
    assert {"▁очень", "▁τρεις"} <= lost
    assert report.vocabulary_after < report.vocabulary_before


def test_the_parameters_stay_in_the_budget(unigram_base, tmp_path):
    whole = Checkpoint.load(unigram_base).model.num_parameters()
    budget = trim(unigram_base, tmp_path / "unbounded", OURS).parameters_after - 20 * WIDTH + 3
    report = trim(unigram_base, tmp_path / "trimmed", OURS, max_parameters=budget)
    after = Checkpoint.load(report.output).model.num_parameters()
    assert (report.parameters_before, report.parameters_after) == (whole, after)
    assert budget - WIDTH < after <= budget
    assert report.vocabulary_before == len(Checkpoint.load(unigram_base).tokenizer)
    assert report.always + report.counted + report.filled == report.vocabulary_after


def test_the_report_tells_how_many_texts_are_unchanged(unigram_base, least, tmp_path):
    texts = [*OURS, *OTHERS, "3", "щ"]
    report = trim(unigram_base, tmp_path / "trimmed", (text for text in texts), keep_at_most=least.always)
    plain = [Checkpoint.load(folder).plain_tokenizer() for folder in (unigram_base, report.output)]
    measured = compare_segmentation(*plain, texts)
    assert report.texts == measured.texts == len(texts)
    assert report.unchanged == measured.unchanged
    assert 1 / len(texts) <= report.unchanged < 1
    assert measured.pieces_after > measured.pieces_before
    assert measured.unknown_after > measured.unknown_before == 0
    assert compare_segmentation(*plain, ["щ"]).unchanged == 0, "an unknown piece is not the piece that it was"
    for ours in TEXTS.values():
        assert compare_segmentation(plain[0], plain[0], ours).unchanged == 1
    assert trim(unigram_base, tmp_path / "empty", []).unchanged == 1


def test_files_of_texts_are_mended_and_reported_by_language(unigram_base, least, tmp_path):
    lines = [{"text": text, "language": language} for language, texts in TEXTS.items() for text in texts]
    lines += [{"text": "\u0643\u064aف", "language": None}, {"text": None, "language": "fa"}, {"text": "   "}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\nnot JSON\n", "utf-8")
    (tmp_path / "b.csv").write_text("id,text\n1,Great support\n", "utf-8")
    report = trim_to_files(unigram_base, tmp_path / "trimmed", [tmp_path / "a.jsonl", tmp_path / "b.csv"])
    assert report.texts == len(OURS) + 2
    assert {name: found.texts for name, found in report.by_language.items()} == {"en": len(EN), "fa": len(FA), "zh": len(ZH)}
    assert all(found.unchanged == 1 for found in report.by_language.values())
    text = report.to_text()
    assert f"{report.vocabulary_before:,} pieces became {report.vocabulary_after:,}" in text
    assert "100.0% of 15 texts keep their pieces" in text
    assert "  fa: 100.0% of 4 texts" in text
    assert str(report.output) in text


def test_files_that_cannot_be_read_are_named_before_anything_is_loaded(tmp_path):
    (tmp_path / "a.csv").write_text("id,message\n1,Great\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.csv: no column 'text'\. It has 'id', 'message'"):
        trim_to_files(tmp_path / "absent", tmp_path / "trimmed", [tmp_path / "a.csv"])
    with pytest.raises(DataError, match=r"b\.csv: no such file"):
        trim_to_files(tmp_path / "absent", tmp_path / "trimmed", [tmp_path / "b.csv"])


def test_trimming_a_trimmed_base_changes_nothing(base, trimmed, tmp_path):
    again = trim(trimmed, tmp_path / "again", OURS)
    assert again.vocabulary_after == again.vocabulary_before
    assert (again.output / "tokenizer.json").read_text("utf-8") == (trimmed / "tokenizer.json").read_text("utf-8")


def test_the_card_of_the_base_goes_along(unigram_base, tmp_path):
    (unigram_base / "README.md").write_text("Licence: MIT\n", "utf-8")
    card = (trim(unigram_base, tmp_path / "trimmed", OURS).output / "README.md").read_text("utf-8")
    assert "# unigram, trimmed" in card
    assert "Licence: MIT" in card
    assert str(unigram_base.parent) not in card


def test_the_alphabet_has_what_the_three_languages_need():
    regex = pytest.importorskip("regex", reason="the reference for emoji; transformers brings it")
    emoji = {chr(code) for code in range(0x203C, 0x1FAFF) if regex.fullmatch(r"\p{Emoji_Presentation}", chr(code))}
    assert len(emoji) > 1000
    assert emoji <= alphabet()
    assert {chr(code) for code in range(0x20, 0x7F)} <= alphabet()
    assert {*PERSIAN_LETTERS, *PERSIAN_DIGITS, *"\u200c،؛؟«»", *"，。！？、《》「」～"} <= alphabet()
    assert len(PERSIAN_LETTERS) == 33
    assert len(common_han()) == 6722
    assert {*"的一是龜臺灣国爱發"} <= common_han()
    assert not {*"щไ한"} & alphabet()


def test_a_tokenizer_whose_pieces_build_on_one_another_is_refused(tmp_path):
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(OURS, trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    with pytest.raises(ConfigError, match=r"of the kind BPE; only Unigram and WordPiece.*untrimmed"):
        trim(save(tmp_path / "bpe", tokenizer, "bert"), tmp_path / "trimmed", OURS)
    assert not (tmp_path / "trimmed").exists()


def test_too_small_a_budget_says_what_is_needed(unigram_base, tmp_path):
    with pytest.raises(ConfigError, match=r"has room for 100\. Allow at least \d+ pieces and \d+ parameters"):
        trim(unigram_base, tmp_path / "trimmed", OURS, keep_at_most=100)
    with pytest.raises(ConfigError, match="room for 0"):
        trim(unigram_base, tmp_path / "trimmed", OURS, max_parameters=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["absent/two/deep", "./absent"])
def test_a_base_that_does_not_exist_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match=f"{name}: no such folder"):
        trim(name, tmp_path / "trimmed", OURS)


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path, unigram_base):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: no encoder can be loaded from there"):
        trim(tmp_path / "empty", tmp_path / "trimmed", OURS)
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in unigram_base.iterdir():
        content = file.read_bytes()
        (cut / file.name).write_bytes(content[: len(content) // 2] if file.suffix == ".safetensors" else content)
    with pytest.raises(ConfigError, match="cut: no encoder can be loaded from there"):
        trim(cut, tmp_path / "trimmed", OURS)


def test_a_tokenizer_of_another_model_is_refused(tmp_path, unigram_base):
    small = save(tmp_path / "small", wordpiece(), "bert")
    XLMRobertaModel(
        XLMRobertaConfig(
            vocab_size=50, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, pad_token_id=1
        )
    ).save_pretrained(small)
    with pytest.raises(ConfigError, match=r"rows for 50\. They do not belong together"):
        trim(small, tmp_path / "trimmed", OURS)


def test_nothing_is_overwritten_or_left_half_written(tmp_path, unigram_base, monkeypatch):
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match="there: exists already"):
        trim(unigram_base, tmp_path / "there", OURS)

    def no_space(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(ConfigError, match="not enough room on the disk"):
        trim(unigram_base, tmp_path / "trimmed", OURS)
    assert [file.name for file in tmp_path.iterdir()] == ["there"]


def test_a_trimming_that_changes_vectors_is_refused(tmp_path, unigram_base, monkeypatch):
    monkeypatch.setattr("training.trim.word_rows", lambda model: model.get_input_embeddings().weight.data + 1e-3)
    with pytest.raises(ConfigError, match="other vectors once trimmed"):
        trim(unigram_base, tmp_path / "trimmed", OURS)
    assert list(tmp_path.iterdir()) == []
