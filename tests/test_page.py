"""The page as people use it, in headless Chromium: three languages, two widths, by keyboard, offline, nothing executed.

FEEDBACK_SCREENSHOTS=FOLDER keeps the pictures (`make page` does so).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import answering
from starlette.testclient import TestClient

from serving.app import make_app
from serving.classifier import FeedbackClassifier
from serving.keys import new_key
from serving.page import PAGES
from serving.settings import ServiceSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")

MESSAGES = {
    "zh": "手机颜色不错😀。快递一直没有到！<b>客服</b>说要等。",
    "en": "The colour isn't bad 😀. The ｐａｒｃｅｌ has not come! <b>They</b> say 'wait'.",
    "fa": "رنگش 😀 خوب است. بسته ي من نرسيده! <b>می‌گویند</b> صبر کنم.",
}
CARRIERS = {"zh": "快递一直没有到！", "en": "The ｐａｒｃｅｌ has not come!", "fa": "بسته ي من نرسيده!"}
WIDTHS = {"narrow": 375, "wide": 1280}
PATIENCE_MS = 60_000
"""Only where a machine is very busy."""
LOCALES = {"zh": "zh-CN", "en": "en-GB", "fa": "fa-IR"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Containers often run as root, where Chromium's sandbox does not start; only our own page is opened.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Seen:
    """A page with what it asked for and complained of."""

    def __init__(self, browser: Browser, url: str, language: str = "en", width: int = 1280) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, locale=LOCALES[language])
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.goto(url)

    def classify(self, text: str) -> dict[str, Any]:
        """Type, press Ctrl+Enter, and return the JSON that is shown."""
        self.page.locator("#text").focus()
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_selector("#result:not([hidden])", timeout=PATIENCE_MS)
        shown: dict[str, Any] = json.loads(self.page.locator("#json").text_content() or "")
        return shown


@pytest.fixture
def opened(browser: Browser, url: str) -> Iterator[Seen]:
    seen = Seen(browser, url)
    yield seen
    seen.context.close()


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", MESSAGES)
def test_a_message_is_typed_and_its_answer_shown(
    browser: Browser, url: str, classifier: FeedbackClassifier, tmp_path: Path, language: str, width: str
) -> None:
    seen = Seen(browser, url, language, WIDTHS[width])
    page, text = seen.page, MESSAGES[language]
    shown = seen.classify(text)
    assert shown["results"] == [result.to_dict(scores=True) for result in classifier.predict([text], explain=True)]
    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
    for field in ("#text", "#message"):
        direction = page.locator(field).evaluate("element => getComputedStyle(element).direction")
        assert direction == ("rtl" if language == "fa" else "ltr"), field

    assert page.locator("#message").text_content() == text  # as it was sent, markup and all
    assert CARRIERS[language] in page.locator("#message mark").all_text_contents()
    assert page.locator(".bars li").count() == sum(len(task.names) for task in classifier.taxonomy)
    display = classifier.taxonomy["category"].labels[classifier.taxonomy["category"].index("delivery")].display[language]
    assert any(name.startswith(display) for name in page.locator(".bars .chosen").all_text_contents())
    bars = page.locator(".bars li", has_text=display).locator(".fill")
    assert bars.first.bounding_box()["width"] > 10  # type: ignore[index]  # it is visible

    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]  # nothing to scroll sideways for
    assert seen.complaints == []
    assert all(asked.startswith(url) for asked in seen.asked)  # nothing from elsewhere
    folder = Path(os.environ.get("FEEDBACK_SCREENSHOTS", tmp_path))
    picture = folder / f"page-{language}-{width}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 20_000
    seen.context.close()


@needs_chromium
def test_a_right_to_left_message_is_set_right_on_a_left_to_right_page(opened: Seen) -> None:
    opened.classify(MESSAGES["fa"])
    page = opened.page
    assert page.locator("html").get_attribute("dir") == "ltr"
    for field in ("#text", "#message", ".carried blockquote >> nth=0"):
        assert page.locator(field).evaluate("element => getComputedStyle(element).direction") == "rtl"
    assert page.locator("#json").evaluate("element => getComputedStyle(element).direction") == "ltr"
    page.locator("#speech").select_option("fa")
    assert page.locator("html").get_attribute("dir") == "rtl"
    assert "زبان" in (page.locator("#facts").text_content() or "")  # what is shown already is said anew


@needs_chromium
def test_everything_is_reached_by_keyboard_and_has_a_name(opened: Seen) -> None:
    page = opened.page
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert names == ["speech", "text", "Classify", "中文示例", "English example", "نمونهٔ فارسی"]
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "overview"  # the reader is led to the answer
    assert page.locator("#status").text_content() == "Classified"
    snapshot = page.locator("body").aria_snapshot()
    for said in ('combobox "Language of this page"', 'textbox "Message"', 'button "Classify"', 'heading "What decided"', "status"):
        assert said in snapshot
    assert re.search(
        r"listitem: positive.*, chosen \d+%|listitem: negative.*, chosen \d+%|listitem: neutral.*, chosen \d+%", snapshot
    )


@needs_chromium
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_curl_line_gives_the_answer_that_is_shown(opened: Seen) -> None:
    text = 'It\'s the "parcel" $HOME `x` \\ أ بسته 快递\n2nd line'
    shown = opened.classify(text)
    line = opened.page.locator("#curl").text_content() or ""
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=20, env={**os.environ, "NO_PROXY": "*"})
    assert json.loads(done.stdout)["results"] == shown["results"]


@needs_chromium
def test_markup_in_a_message_is_never_run(opened: Seen) -> None:
    opened.classify("parcel <img src=x onerror=\"document.title='run'\"> <script>document.title='run'</script>")
    assert opened.page.title() == "Feedback classifier"
    assert opened.page.locator("main img, main script").count() == 0
    assert opened.complaints == []


@needs_chromium
def test_what_is_wrong_is_said_where_it_is_heard(opened: Seen) -> None:
    page, alert = opened.page, opened.page.locator("#error")
    page.locator("#text").fill("  ")
    page.keyboard.press("Control+Enter")
    assert alert.text_content() == "Write a message first."
    page.locator("#text").fill("x" * 3000)
    page.keyboard.press("Control+Enter")
    alert.filter(has_text="3,000 characters; at most 2,000").wait_for(timeout=PATIENCE_MS)
    assert alert.get_attribute("role") == "alert"
    page.route("**/v1/classify", lambda route: route.abort())
    page.locator("#text").fill("great")
    page.keyboard.press("Control+Enter")
    alert.filter(has_text="The service does not answer.").wait_for(timeout=PATIENCE_MS)


@needs_chromium
def test_the_interface_is_shown_without_any_network(browser: Browser, url: str) -> None:
    seen = Seen(browser, url + "docs")
    seen.page.wait_for_selector("#operations-default-classify", timeout=PATIENCE_MS)
    assert seen.page.locator(".opblock").count() >= 5
    assert all(asked.startswith((url, "data:")) for asked in seen.asked)
    assert [text for text in seen.complaints if "ontent Security" in text] == []
    seen.context.close()


@needs_chromium
def test_where_keys_are_asked_for_the_pages_ask_for_one(browser: Browser, classifier: FeedbackClassifier) -> None:
    key, line = new_key("tests")
    with answering(classifier, ServiceSettings(keys=line)) as address:
        seen = Seen(browser, address)
        alert = seen.page.locator("#error")
        alert.filter(has_text="The service asks for a key.").wait_for(timeout=PATIENCE_MS)
        seen.page.locator("#key").fill(key)
        seen.classify(MESSAGES["en"])
        assert not alert.is_visible()
        line_shown = seen.page.locator("#curl").text_content() or ""
        assert '-H "Authorization: Bearer $FEEDBACK_KEY"' in line_shown
        assert key not in line_shown
        seen.page.on("dialog", lambda dialog: dialog.accept(key))
        seen.page.goto(address + "docs")
        seen.page.wait_for_selector("#operations-default-classify", timeout=PATIENCE_MS)
        seen.context.close()


def test_pages_run_no_script_but_their_own_and_load_nothing_from_elsewhere(classifier: FeedbackClassifier) -> None:
    with TestClient(make_app(classifier, ServiceSettings())) as client:
        for path in sorted(PAGES):
            answer = client.get(path)
            assert answer.status_code == 200, path
            if answer.headers["content-type"].startswith("text/html"):
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "connect-src 'self'" in policy
                assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
                assert not re.search(r"(src|href)=[\"']?(https?:)?//", answer.text)
