# `make study` and `make test` work on a machine with Python >= 3.11, git, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUICK := params/quick/resnet56.yaml params/quick/mobilenetv2.yaml

.PHONY: install study test book clean

install: $(VENV)/installed

# Pinned versions that were tested; `pip install -e .` works without them.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hpstudy needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

study: install
	$(BIN)/hpstudy run $(QUICK)

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n auto --dist loadfile

book: install
	$(BIN)/hpstudy book

clean:
	rm -rf $(VENV) build dist *.egg-info book/_build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
