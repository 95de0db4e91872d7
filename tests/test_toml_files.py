"""Settings in TOML, as people write them."""

import pytest

from data.errors import ConfigError, TaxonomyError
from data.toml_files import read_toml, written_value


def test_a_file_is_read_in_all_three_languages(tmp_path):
    (tmp_path / "a.toml").write_text('[names]\nzh = "物流"\nen = "delivery"\nfa = "ارسال"\n', "utf-8")
    names = {"zh": "物流", "en": "delivery", "fa": "ارسال"}
    assert read_toml(tmp_path / "a.toml", ConfigError, "") == {"names": names}


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path):
    with pytest.raises(TaxonomyError, match=r"a\.toml: no such file\. Name another\.$"):
        read_toml(tmp_path / "a.toml", TaxonomyError, ". Name another.")


@pytest.mark.parametrize("content", [b"a = ", b'a = "\xc4\xe3"', b"\xff\xfea"], ids=["cut off", "GBK", "UTF-16"])
def test_a_file_that_is_no_toml_is_told(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.toml: not a TOML file in UTF-8: "):
        read_toml(tmp_path / "a.toml", ConfigError, "")


@pytest.mark.parametrize(
    ("written", "value"),
    [("0.4", 0.4), ("true", True), ('["ok"]', ["ok"]), ('"4"', "4"), ("runs/a", "runs/a"), ("速度", "速度"), ("", "")],
)
def test_a_value_is_what_toml_has_else_the_text_itself(written, value):
    assert written_value(written) == value
