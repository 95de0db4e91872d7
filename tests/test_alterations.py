"""Alterations undo what a publisher did to the words, and nothing else."""

from __future__ import annotations

import pytest

from data.alterations import ALTERATIONS, alter


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("detokenise", "the fan doesn ' t stop , and i ' m tired ( really ) .", "the fan doesn't stop, and i'm tired (really)."),
        ("detokenise", "not worth the ` ` premium ` ` $ 900 ; 2 - star .", 'not worth the "premium" $900; 2-star.'),
        ("detokenise", "you pay $ for a logo - badly", "you pay $ for a logo - badly"),
        ("mend_apostrophes", "I can  t log in and it  s late", "I can't log in and it's late"),
        ("unescape_newlines", r"味道不错。\n\n就是贵。", "味道不错。\n就是贵。"),
        ("unescape_newlines", r"ارسال خوب بود\\n\\nممنون", "ارسال خوب بود\nممنون"),
        ("drop_trailing_comma", "Crashes on start ,", "Crashes on start"),
        ("drop_issue_prefix", "[Viewer Bug]: page stays white", "page stays white"),
        ("drop_issue_prefix", "Feature request: print in colour", "print in colour"),
    ],
)
def test_a_step_mends_what_an_export_broke(step, before, after):
    assert ALTERATIONS[step](before) == after


@pytest.mark.parametrize("step", ALTERATIONS)
@pytest.mark.parametrize(
    "text",
    ["快递很慢，客服不理人！", "Fix the login, please - it's broken.", "کیفیتش خوب بود؛ ارسال دیر شد."],
    ids=["zh", "en", "fa"],
)
def test_a_step_leaves_ordinary_text_alone(step, text):
    assert ALTERATIONS[step](text) == text


def test_a_title_that_is_only_a_prefix_is_kept():
    assert ALTERATIONS["drop_issue_prefix"]("[Question]") == "[Question]"


def test_steps_are_applied_in_order():
    assert alter(r"I can  t pay\n ,", ["unescape_newlines", "mend_apostrophes", "drop_trailing_comma"]) == "I can't pay"
