"""A book that is executed, bound and looked at by the tests of pages and of printing."""

import re
from types import SimpleNamespace

import pytest
import synthetic


def pages_of(book):
    """Names of the pages that the contents of a book list, the first page first."""
    return re.findall(r"(?:root|file): (\S+)", (book / "_toc.yml").read_text())


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A clone with one's own (synthetic) results and the book built from them, strictly."""
    from hpstudy.report.build import build_book

    clone = synthetic.clone(tmp_path_factory.mktemp("clone"), ["resnet56"])
    before = synthetic.checksums(clone / "book")
    index = build_book(clone, strict=True)
    stage = clone / "runs" / "book"
    return SimpleNamespace(
        clone=clone,
        before=before,
        index=index,
        html=index.parent,
        stage=stage,
        pages=pages_of(stage),
    )
