"""Subsections of a page as tabs: one is shown, all are reachable, and paper shows every one."""

import shutil

import pytest
from browser import chromium, served
from synthetic import REPOSITORY

PAGE = """<!doctype html><link rel="stylesheet" href="tabs.css"><script src="tabs.js"></script>
<section id="all"><h2>All</h2><div class="hpstudy-tabs" data-label="Parts"></div>
<section id="one"><h3>One<a href="#one">#</a></h3><p>first</p></section>
<section id="two"><h3>Two<a href="#two">#</a></h3><p>second</p></section>
<section id="three"><h3>Three<a href="#three">#</a></h3><p>third</p></section>
</section>"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    for name in ("tabs.js", "tabs.css"):
        shutil.copy(REPOSITORY / "book" / "_static" / name, folder)
    (folder / "index.html").write_text(PAGE)
    with served(folder) as address, chromium() as browser:
        page = browser.new_page()
        page.address = address + "index.html"
        yield page


def shown(page):
    return [text for text in ("first", "second", "third") if page.get_by_text(text).is_visible()]


@pytest.mark.browser
def test_tabs_are_chosen_by_click_by_arrow_and_by_address(tab):
    tab.goto(tab.address)
    assert tab.get_by_role("tab").all_inner_texts() == ["One", "Two", "Three"]
    assert shown(tab) == ["first"]
    tab.get_by_role("tab", name="Two").click()
    assert shown(tab) == ["second"]
    tab.keyboard.press("ArrowRight")
    assert shown(tab) == ["third"]
    tab.keyboard.press("ArrowRight")
    assert shown(tab) == ["first"]
    assert tab.get_by_role("tab", selected=True).all_inner_texts() == ["One"]
    tab.goto(tab.address + "#two")
    assert shown(tab) == ["second"]


@pytest.mark.browser
def test_hidden_tab_keeps_its_width_so_that_figures_are_drawn(tab):
    tab.goto(tab.address)
    widths = "[...document.querySelectorAll('section > section')].map(s => s.clientWidth)"
    assert len(set(tab.evaluate(widths))) == 1


@pytest.mark.browser
def test_paper_shows_every_tab_under_its_heading(tab):
    tab.goto(tab.address)
    tab.emulate_media(media="print")
    assert shown(tab) == ["first", "second", "third"]
    assert tab.get_by_role("heading", name="Two").bounding_box()["height"] > 10
    tab.emulate_media(media="screen")
