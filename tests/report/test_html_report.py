"""The report of one's own table: one file that a browser opens without a network."""

import pytest
import synthetic
from browser import chromium

import hpstudy
from hpstudy.report.html_report import check_path

TABLE = synthetic.REPOSITORY / "book" / "results" / "quick-resnet56.csv"


@pytest.mark.browser
def test_report_is_drawn_from_disk_without_any_request(tmp_path):
    path = hpstudy.write_report(hpstudy.read_runs(TABLE), tmp_path / "report.html")
    assert path.stat().st_size < 6e6
    asked, errors = [], []
    with chromium() as browser:
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        tab.goto(path.as_uri())
        figures = "[...document.querySelectorAll('.hpstudy-figure, [data-panel]:not(.curves *)')]"
        tab.wait_for_function(f"{figures}.every(box => box.querySelector('.main-svg'))")
        assert tab.locator("table.hp-verdict tr.net").count() == 2
        threshold = tab.locator("input[name=threshold]")
        before = tab.locator(".hpstudy-interactive output").inner_text()
        threshold.press("ArrowRight")
        tab.wait_for_function(
            f"document.querySelector('.hpstudy-interactive output').textContent !== '{before}'"
        )
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert errors == []


def test_bad_path_is_refused_before_any_work(refused, tmp_path):
    assert "folder that exists" in refused(check_path, tmp_path)
    assert "folder that exists" in refused(
        hpstudy.write_report, ["gone.csv"], tmp_path / "a/b.html"
    )
