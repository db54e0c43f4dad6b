"""Names and roles that the book gives to the theme's elements for screen readers."""

import shutil

import pytest
from browser import chromium, served
from synthetic import REPOSITORY

PAGE = """<!doctype html><script src="names.js"></script>
<div class="bd-sidebar-primary"><ul><li><a href="a.html"> A study </a>
<details><summary><i></i></summary><ul></ul></details></li></ul></div>
<button class="search-button-field" aria-label="Search">Search <kbd>Ctrl</kbd></button>
<div role="list" class="citation-list">
<div class="citation" role="doc-biblioentry">A book</div></div>
"""


@pytest.mark.browser
def test_every_element_is_named_as_it_is_shown(tmp_path):
    shutil.copy(REPOSITORY / "book" / "_static" / "names.js", tmp_path)
    (tmp_path / "index.html").write_text(PAGE)
    with served(tmp_path) as address, chromium() as browser:
        tab = browser.new_page()
        tab.goto(f"{address}index.html")
        assert tab.get_by_label("Pages of A study", exact=True).count() == 1
        assert tab.get_by_role("button", name="Search Ctrl", exact=True).count() == 1
        assert tab.get_by_role("listitem").filter(has_text="A book").count() == 1
