"""The published book: bound as written by the plain command, and every figure of it drawn."""

import shutil
import subprocess
import sys

import pytest
import synthetic
from browser import chromium, served, show, watch

PUBLISHED = synthetic.REPOSITORY / "book"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(
        not (PUBLISHED / "index.ipynb").is_file(), reason="no results have been published yet"
    ),
]


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    """A copy of the book that `jupyter-book build book` has bound, warnings being errors."""
    root = tmp_path_factory.mktemp("published")
    ignored = shutil.ignore_patterns("_build")
    book = shutil.copytree(PUBLISHED, root / "book", ignore=ignored)
    shutil.copyfile(synthetic.REPOSITORY / "_config.yml", root / "_config.yml")
    before = synthetic.checksums(book)
    main = "from jupyter_book.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, "build", "book", "-W", "-n", "--keep-going"],
        cwd=root,
        capture_output=True,
        text=True,
        env=synthetic.environment(),
    )
    assert done.returncode == 0, done.stderr
    assert synthetic.checksums(book) == before, "binding changed a page"
    return book


def test_every_page_draws_its_figures_and_asks_no_other_host(bound):
    html = bound / "_build" / "html"
    drawn = 0
    with chromium() as browser, served(html) as address:
        tab = browser.new_page(viewport={"width": 400, "height": 900})
        tab.set_default_timeout(60_000)
        outside, errors = watch(tab, address)
        for path in sorted(html.rglob("*.html")):
            page = path.relative_to(html).with_suffix("").as_posix()
            if "_static" in path.parts:
                continue
            show(tab, f"{address}{page}.html")
            assert outside == [], f"{page} asks another host"
            assert errors == [], f"{page} has errors"
            source = bound / f"{page}.ipynb"
            figures = (
                source.read_text().count('class=\\"hpstudy-figure\\"') if source.is_file() else 0
            )
            found = tab.locator(".hpstudy-figure .js-plotly-plot").count()
            assert found == figures, f"{page} draws {found} of {figures} figures"
            drawn += found
            assert tab.evaluate("document.documentElement.scrollWidth") <= 400, page
    assert drawn > 10
