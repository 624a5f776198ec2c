"""The page of `taskloom overview` in a browser: it asks for nothing, says nothing on the console, and can be read on a phone, in the dark, by
keyboard and on paper."""

import os
import pathlib
import shutil

import pytest
from conftest import taskloom
from playwright.sync_api import sync_playwright
from test_overview import HOSTILE

WIDTHS = [380, 1200]
# Where screenshots are kept for people to look at.
SCREENSHOTS = pathlib.Path(os.environ["TASKLOOM_BIN"]).resolve().parent.parent / "screenshots"


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "needs chromium (on Debian: apt install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    taskloom("generate", "--tasks", "600", "--seed", "9", "--out", folder / "tasks.ndjson")
    text = (folder / "tasks.ndjson").read_text(encoding="utf-8")
    # Names that would be markup, and one that no line can break.
    hostile = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace('"overall_quality"', f'"{hostile}"').replace('"project_000"', f'"{"x" * 300}"')
    (folder / "hostile.ndjson").write_text(text, encoding="utf-8")
    taskloom("flatten", folder / "hostile.ndjson", "--out", folder / "lake", "--quiet")
    taskloom("overview", folder / "lake", "--out", folder / "overview.html")
    assert (folder / "overview.html").stat().st_size < 2_000_000
    return folder / "overview.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_and_asks_for_nothing(browser, page_file, width, scheme):
    said, asked = [], []
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(page_file.as_uri())
    assert page.locator("section").count() > 15 and page.locator("script, img").count() == 0
    # Nothing is wider than the window; wide tables scroll by themselves.
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"overview-{width}-{scheme}.png", full_page=True)
    assert (said, asked) == ([], [page_file.as_uri()])
    page.close()


# The contrast of every text with what is behind it, by the formula of WCAG 2.
CONTRASTS = """() => {
    const channels = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([red, green, blue]) => [red, green, blue].map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const color = channels(getComputedStyle(at).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('body *')].filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .map(one => {
            const [dark, bright] = [light(channels(getComputedStyle(one).color)), light(behind(one))].sort((a, b) => a - b);
            return [(bright + 0.05) / (dark + 0.05), one.outerHTML.slice(0, 80)];
        });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_words_stand_out(browser, page_file, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(page_file.as_uri())
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 100 and min(contrasts)[0] >= 4.5, min(contrasts)
    page.close()


def test_it_can_be_used_by_keyboard_and_read_aloud(browser, page_file):
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the numbers"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    # What is wider than its place is reached, so that it can be scrolled.
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("details").first.evaluate("one => one.open")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    tables = page.locator("table").count()
    assert page.locator("table > caption").count() == page.locator("section > h2").count() == tables
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    # Pictures say nothing that their table does not.
    assert page.locator(".bars:not([aria-hidden=true]), .columns:not([aria-hidden=true])").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    links = page.evaluate("[...document.querySelectorAll('a')].map(one => one.hash.slice(1))")
    assert len(ids) == len(set(ids)) and set(links) <= set(ids)
    page.close()


def test_it_prints_whole(browser, page_file, tmp_path):
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    hidden = page.locator(".scroll").evaluate_all("all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length")
    assert hidden == 0 and not page.locator("nav").is_visible()
    page.pdf(path=tmp_path / "overview.pdf")
    assert (tmp_path / "overview.pdf").stat().st_size > 10_000
    page.close()
