"""Tiny encoders with fresh weights and a tokenizer of their own: real transformers checkpoints, made in a second."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unicodedata import normalize

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 140,
}
ARCHITECTURES = {
    "bert": {},
    "xlm-roberta": {"bos_token_id": 1, "eos_token_id": 2},
    "deberta-v2": {
        "relative_attention": True,
        "position_buckets": 16,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": {
        "global_attn_every_n_layers": 2,
        "local_attention": 16,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "cls_token_id": 1,
        "sep_token_id": 2,
    },
}
VOCABULARY = 400
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
TEXTS = [
    "the parcel came late and the box was broken",
    "great app, works well, thank you",
    "快递太慢了，客服也不理人",
    "很好用，谢谢你们",
    "بسته خیلی دیر رسید و پشتیبانی جواب نداد",
    "عالی بود، ممنون از شما",
]


def _pieces(texts: list[str]) -> list[tuple[str, float]]:
    """Every character and the words that come most often, with scores. (A trained tokenizer is another one in each process.)"""
    words = Counter(f"\u2581{word}" for text in texts for word in normalize("NFKC", text).lower().split())
    characters = sorted({character for word in words for character in word})
    often = sorted(words, key=lambda word: (-words[word], word))[: max(0, VOCABULARY - len(SPECIAL) - len(characters))]
    scores = dict.fromkeys(characters, -12.0) | dict.fromkeys(often, -8.0)
    return [(token, 0.0) for token in SPECIAL] + list(scores.items())


def make_tiny_base(folder: Path, architecture: str = "bert", texts: list[str] | None = None) -> Path:
    """Write a checkpoint folder: config.json, model.safetensors, tokenizer.json."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(_pieces(texts or TEXTS), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    size = tokenizer.get_vocab_size()
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **{**SIZES, "vocab_size": size, "pad_token_id": 0, **ARCHITECTURES[architecture]})
    AutoModel.from_config(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder
