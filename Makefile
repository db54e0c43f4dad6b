# `make study` and `make test` work on a machine with Python >= 3.11, git, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Versions that were tested together; `make CONSTRAINTS=/dev/null install` takes the newest.
CONSTRAINTS := constraints.txt
# A file runs in one worker, and the longest begin first: tests/conftest.py puts them in order.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
# Each process of a test would compile the package anew where this variable is set.
export PYTHONDONTWRITEBYTECODE :=
QUICK := params/quick/resnet56.yaml params/quick/mobilenetv2.yaml

.PHONY: install study lint test test-fast test-rest book clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hpstudy needs Python 3.11 or newer; name one with make PYTHON=...")'
	@echo "1 of 2: making $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)
	@echo "2 of 2: installing hpstudy and its packages into $(VENV), two minutes or more"
	$(BIN)/python -m pip install --disable-pip-version-check -c $(CONSTRAINTS) -e '.[test]'
	@touch $@
	@echo "installed; next: make study (three to five minutes on two cores), or source $(BIN)/activate"

# The first landscape is drawn after about a minute; the page of each study is named at the end.
study: install
	$(BIN)/hpstudy run $(QUICK)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy hpstudy

test: lint
	$(PYTEST)

# What an edit breaks, within a minute: no browser, no cluster, nothing slow.
test-fast: install
	$(PYTEST) -m "not browser and not cluster and not slow"

# What `make test-fast` leaves out.
test-rest: install
	$(PYTEST) -m "browser or cluster or slow"

book: install
	$(BIN)/hpstudy book

clean:
	rm -rf $(VENV) build dist *.egg-info book/_build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
