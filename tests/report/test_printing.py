"""The book on paper, and for readers who hear it or use no mouse."""

import json
import re
import shutil
import stat
import unicodedata
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import plotly.graph_objects as go
import pytest
from browser import NAMES, chromium, served
from pypdf import PdfReader

from hpstudy.report.build import print_book
from hpstudy.report.notebook import figure_bundle, html_table
from hpstudy.report.pdf import print_pdf

pytestmark = [pytest.mark.browser, pytest.mark.slow]
A4 = (596, 842)  # points
MARGIN = 0.7 * 72

needs_chromium = pytest.mark.skipif(
    not any(map(shutil.which, NAMES)), reason="no Chromium on this machine to print with"
)


@pytest.fixture(scope="module")
def printed(built):
    """The book of one's own study as a PDF, read."""
    pdf = print_book(built.clone)
    return SimpleNamespace(clone=built.clone, pages=built.pages, pdf=pdf, **vars(read(pdf)))


def read(pdf: Path) -> SimpleNamespace:
    """The sheets of a PDF, their texts without spaces, and each piece with its place across."""
    places: list[tuple[float, str]] = []

    def look(text, matrix, text_matrix, font, size):
        if text.strip():
            x = text_matrix[4] * matrix[0] + text_matrix[5] * matrix[2] + matrix[4]
            places.append((x, text.strip()))

    document = PdfReader(pdf)
    sheets = list(document.pages)
    texts = [squeezed(sheet.extract_text(visitor_text=look)) for sheet in sheets]
    return SimpleNamespace(document=document, sheets=sheets, texts=texts, places=places)


def squeezed(text: str) -> str:
    """Text without its spaces, which a PDF does not keep, and without its ligatures."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def titles(book: Path, pages: list[str]) -> list[str]:
    """First heading of each page of a book."""
    headings = []
    for page in pages:
        path = book / f"{page}.ipynb"
        if path.is_file():
            cells = nbformat.read(path, as_version=4).cells
            text = next(cell.source for cell in cells if cell.cell_type == "markdown")
        else:
            text = (book / f"{page}.md").read_text()
        headings.append(re.search(r"(?m)^# (.*)", text)[1])
    return headings


def single(printed) -> Path:
    """Folder of the book as one HTML page, from which it is printed."""
    return printed.pdf.parent / "singlehtml"


@contextmanager
def unscripted(printed, width: int):
    """That page in a browser that runs none of its scripts: its text, tables and styles."""
    with chromium() as browser, served(single(printed)) as address:
        size = {"width": width, "height": 800}
        tab = browser.new_context(viewport=size, java_script_enabled=False).new_page()
        tab.goto(address + "index.html")
        yield tab


def written(folder: Path, body: str) -> Path:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><title>One page</title><body>{body}</body>")
    return path


@needs_chromium
def test_the_printed_book_lies_beside_the_other_one_on_numbered_a4_sheets(printed):
    assert printed.pdf == printed.clone / "book" / "_build" / "hpstudy.pdf"
    boxes = [sheet.mediabox for sheet in printed.sheets]
    assert {(round(box.width), round(box.height)) for box in boxes} == {A4}
    assert len(boxes) > 5
    numbers = [f"{number}/{len(boxes)}" for number in range(1, len(boxes) + 1)]
    assert all(text.endswith(end) for text, end in zip(printed.texts, numbers, strict=True))
    assert set(printed.texts).isdisjoint(numbers), "a sheet is blank"


@needs_chromium
def test_every_page_of_the_book_begins_a_sheet_and_is_in_the_outline(printed):
    def flat(outline):
        for entry in outline:
            yield from flat(entry) if isinstance(entry, list) else [entry]

    first = {}
    for entry in flat(printed.document.outline):
        first.setdefault(printed.document.get_destination_page_number(entry), entry.title)
    expected = [squeezed(title) for title in titles(printed.clone / "runs" / "book", printed.pages)]
    assert len(expected) > 6
    assert set(expected) <= {squeezed(title) for title in first.values()}
    text = "".join(printed.texts)
    assert [title for title in expected if title not in text] == []


@needs_chromium
def test_every_figure_is_drawn_on_paper(printed):
    text = "".join(printed.texts)
    page = (single(printed) / "index.html").read_text()
    boxes = re.findall(
        r'class="hpstudy-figure"[^>]*><script type="application/json">(.*?)</script>', page, re.S
    )
    assert len(boxes) >= 5
    for box in boxes:
        layout = json.loads(box)["layout"]
        named = [note["text"] for note in layout.get("annotations", ()) if note["text"]]
        named = named or [layout["xaxis"]["title"]["text"]]
        assert squeezed(re.sub("<[^>]*>", " ", named[0])) in text


@needs_chromium
def test_nothing_is_cut_at_the_edge_of_a_sheet(printed):
    assert len(printed.places) > 1000
    assert [place for place in printed.places if not 0 <= place[0] <= A4[0] - MARGIN] == []


@needs_chromium
def test_links_on_paper_lead_to_the_book_itself_or_to_the_web(printed):
    inside = 0
    for sheet in printed.sheets:
        for link in sheet.get("/Annots") or ():
            link = link.get_object()
            inside += "/Dest" in link
            address = (link.get("/A") or {}).get("/URI", "https://")
            assert address.startswith(("https://", "http://")), address
    assert inside > 10


@needs_chromium
def test_captions_and_tables_have_contrast_in_both_themes(printed):
    """At least 4.5, as level AA of the Web Content Accessibility Guidelines 2.2 asks."""
    colours = """
        ["p.hpstudy-caption", ".hpstudy-table td", ".hpstudy-table thead th"].map(name => {
            const style = getComputedStyle(document.querySelector(name)).color;
            return [style, getComputedStyle(document.body).backgroundColor];
        })
    """
    with unscripted(printed, width=1280) as tab:
        for theme in ("light", "dark"):
            tab.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
            for ink, page in tab.evaluate(colours):
                assert contrast(ink, page) >= 4.5, (theme, ink, page)


def contrast(one: str, other: str) -> float:
    """Ratio of the relative luminances of two colours as a browser writes them, rgb(r, g, b)."""

    def luminance(colour):
        parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@needs_chromium
def test_a_wide_table_is_scrolled_and_outlined_by_the_keyboard(printed):
    with unscripted(printed, width=360) as tab:
        tables = tab.locator(".hpstudy-table").all()
        hidden = "box => box.scrollWidth - box.clientWidth"
        table = max(tables, key=lambda table: table.evaluate(hidden))
        assert table.evaluate(hidden) > 100
        # From the element before it, so that the browser knows that keys are in use.
        table.evaluate("box => box.focus()")
        tab.keyboard.press("Shift+Tab")
        tab.keyboard.press("Tab")
        assert table.evaluate("box => document.activeElement === box")
        assert table.evaluate("box => parseFloat(getComputedStyle(box).outlineWidth)") >= 2
        tab.keyboard.press("ArrowRight")
        # The browser scrolls smoothly; nothing in the page would say when.
        for _ in range(100):
            tab.wait_for_timeout(50)
            if moved := table.evaluate("box => box.scrollLeft > 0"):
                break
        assert moved


@needs_chromium
def test_a_page_that_asks_another_host_is_not_printed(tmp_path, refused):
    page = written(tmp_path, '<img src="https://example.org/one.png">')
    target = tmp_path / "page.pdf"
    assert "https://example.org/one.png" in refused(print_pdf, page, target)
    assert not target.exists()


@needs_chromium
def test_a_page_whose_script_fails_is_not_printed(tmp_path, refused):
    page = written(tmp_path, "<script>throw new Error('no such thing')</script>")
    assert "no such thing" in refused(print_pdf, page, tmp_path / "page.pdf")


@needs_chromium
def test_a_table_wider_than_a_sheet_is_shrunk(tmp_path):
    cells = "".join(f"<td style='min-width:9rem'>cell{number}</td>" for number in range(20))
    page = written(tmp_path, f'<div class="hpstudy-table"><table><tr>{cells}</tr></table></div>')
    print_pdf(page, tmp_path / "page.pdf")
    places = {text: x for x, text in read(tmp_path / "page.pdf").places}
    assert places["cell0"] < places["cell19"] < A4[0] - MARGIN


def test_printing_without_a_browser_is_refused(tmp_path, refused, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refused(print_pdf, written(tmp_path, "text"), tmp_path / "page.pdf")
    assert "chromium" in said and "google-chrome" in said


def test_browser_that_ends_is_refused(tmp_path, refused, monkeypatch):
    command = tmp_path / "chromium"
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    said = refused(print_pdf, written(tmp_path, "text"), tmp_path / "page.pdf")
    assert f"the browser {command} does not print" in said


class Elements(HTMLParser):
    """Every element of a text: its name and its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_figure_has_a_name_for_screen_readers():
    (box, *_) = Elements(figure_bundle(go.Figure(), 'Risk of the "0.5-ROI".')["text/html"]).found
    assert box[1]["role"] == "img" and box[1]["aria-label"] == 'Risk of the "0.5-ROI".'


def test_table_is_a_named_region_whose_heads_have_scopes():
    columns = pd.MultiIndex.from_tuples([("This book", "mean"), ("Thesis", "mean")])
    variants = pd.Index(["Unpruned", "Uniform, 20 %"], name="variant")
    frame = pd.DataFrame([[0.1, 0.2], [0.9, 0.5]], index=variants, columns=columns)
    elements = Elements(html_table(frame, "Table 4.2")).found
    box = elements[0][1]
    assert (box["role"], box["aria-label"], box["tabindex"]) == ("region", "Table 4.2", "0")
    scopes = [attributes.get("scope") for tag, attributes in elements if tag == "th"]
    # Two groups of columns; the heads of the rows' names and of both columns; two rows.
    assert scopes == ["colgroup"] * 2 + ["col"] * 3 + ["row"] * 2
