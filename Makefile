# Each target does all of its own set-up: it needs Python 3.11 or newer and make, nothing else.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: help demo test test-versions stress mutate check docs site messages bench format clean bench-peers

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(STAMP)  ## run the main job on sample orders, on the embedded default
	@$(BIN)/orderctl demo

test: $(STAMP)  ## the whole suite, on SQLite and on a real PostgreSQL
	@$(BIN)/python -m pytest

test-versions:  ## the suite on every Python here, and with the lowest dependencies (VERSIONS="3.12 3.13" TESTS=tests/test_x.py); wants uv
	@.ci/versions

stress: $(STAMP)  ## kill, break and fuzz it for a quarter of an hour, then a table (SEED=1 MINUTES=14 WORKERS=2)
	@PYTHONPATH=tests $(BIN)/python -m stress

mutate: $(STAMP)  ## change the deciding modules one place at a time: do their tests notice (MODULES=store.outbox)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,mutate]'
	@PYTHONPATH=tests $(BIN)/python -m stress.mutate $(MODULES)

check: $(STAMP)  ## lint, format, types, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP)  ## measure beside the floors: make bench ARGS="--row startup --size small"
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(STAMP)  ## cancel orders with django-oscar and Tryton beside orderctl
	@$(BIN)/python -m bench.peers $(ARGS)

docs: $(DOCS_STAMP)  ## make the pages and pictures from the program, then the site in docs/_site; a dead link ends it
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/pictures.py
	@$(MAKE) --no-print-directory site

site: $(DOCS_STAMP)  ## build the site from the pages as they are; a dead link ends it
	@$(BIN)/sphinx-build --quiet --fail-on-warning --fresh-env --jobs auto docs docs/_site

messages: $(STAMP)  ## bring the catalogues of translations up to date with the code; names what is not translated
	@$(BIN)/python docs/messages.py

format: $(STAMP)  ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .versions .pytest_cache .mypy_cache .ruff_cache .hypothesis mutants

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (set PYTHON=...)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

$(DOCS_STAMP): pyproject.toml $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,docs]'
	@touch $@
