# Each target does all of its own set-up: it needs Python 3.11 or newer and make, nothing else.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Set up with uv where it is there, with venv and pip where it is not. Modules are compiled when they are first used,
# and kept, whatever the shell says: otherwise each process compiles all of them.
unexport PYTHONDONTWRITEBYTECODE
UV := $(shell command -v uv 2>/dev/null)
OWN_UV := $(VENV)/uv/bin/uv

# A stamp for the program alone, and one for each extra of pyproject.toml.
PROGRAM := $(VENV)/.installed
EXTRA := $(VENV)/.installed-
LOCK := constraints.txt
ifneq ($(UV),)
NO_CACHE = $(shell cache="$$($(UV) cache dir)"; mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" || echo --no-cache)
NEW_VENV = $(UV) venv --quiet --clear $(NO_CACHE) --python "$(PYTHON)" $(VENV)
INSTALL = $(UV) pip install --quiet $(NO_CACHE) --python $(BIN)/python --constraint $(LOCK) --build-constraint $(LOCK)
else
NEW_VENV = "$(PYTHON)" -m venv --clear $(VENV)
INSTALL = PIP_CONSTRAINT=$(LOCK) PIP_BUILD_CONSTRAINT=$(LOCK) $(BIN)/python -m pip install --quiet --no-compile \
	--disable-pip-version-check
endif

.PHONY: help demo test test-systems test-pgbouncer test-versions stress mutate check docs site messages bench format clean bench-peers lock

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo:  ## run the main job on sample orders, on the embedded default
	@echo "The main job on 2,400 sample orders in a temporary folder: ten to forty seconds, and half a minute more the first time."
	@$(MAKE) --no-print-directory $(PROGRAM)
	@$(BIN)/orderctl demo

test: $(EXTRA)test  ## the whole suite, on SQLite and on a real PostgreSQL
	@$(BIN)/python -m pytest

test-systems: $(EXTRA)test $(EXTRA)systems-test  ## pull from a real Tryton and cancel orders there, on this computer
	@$(BIN)/python -m pytest -m system -n 0 tests/systems

# The folders whose tests use a store as the services do. The database of each has another time zone.
POOLED := orders changes search selection stats exporting erasure audit plans rejection delivery mail writeback database \
	promises/test_members.py promises/test_roles.py
test-pgbouncer: $(EXTRA)test  ## the store's tests through pgbouncer in transaction mode, which it installs on Debian as root
	@PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null || .ci/pgbouncer
	@TEST_PGBOUNCER=1 $(BIN)/python -m pytest -m 'not system' $(addprefix tests/,$(POOLED))

test-versions: $(or $(UV),$(OWN_UV))  ## the suite on every Python here with the newest dependencies, and with the lowest (VERSIONS="3.12 3.13" TESTS=tests/mail)
	@UV=$< .ci/versions

lock: $(or $(UV),$(OWN_UV))  ## what is installed here: the newest that pyproject.toml allows, into constraints.txt
	@echo editables | UV_CUSTOM_COMPILE_COMMAND="make lock" $< pip compile --quiet --universal --python-version 3.11 \
		--all-extras --no-annotate --upgrade --output-file $(LOCK) pyproject.toml -

stress: $(EXTRA)test  ## kill, break and fuzz it for a quarter of an hour, then a table (SEED=1 MINUTES=14 WORKERS=2)
	@PYTHONPATH=tests $(BIN)/python -m stress

mutate: $(EXTRA)test $(EXTRA)mutate  ## change the deciding modules one place at a time: do their tests notice (MODULES=delivery.queries)
	@PYTHONPATH=tests $(BIN)/python -m stress.mutate $(MODULES)

check: $(EXTRA)dev  ## lint, format, types, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(EXTRA)test  ## measure beside the floors: make bench ARGS="--row startup --size small"
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(EXTRA)test  ## cancel orders with django-oscar, Tryton and Vendure (npm) beside orderctl
	@$(BIN)/python -m bench.peers $(ARGS)

docs: $(EXTRA)test  ## make the pages and pictures from the program, then the site in docs/_site; a dead link ends it
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/pictures.py
	@$(MAKE) --no-print-directory site

site: $(EXTRA)docs  ## build the site from the pages as they are; a dead link ends it
	@$(BIN)/sphinx-build --quiet --fail-on-warning --fresh-env --jobs auto docs docs/_site

messages: $(EXTRA)test  ## bring the catalogues of translations up to date with the code; names what is not translated
	@$(BIN)/python docs/messages.py

format: $(EXTRA)dev  ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .versions .pytest_cache .mypy_cache .ruff_cache .hypothesis mutants

$(PROGRAM): pyproject.toml $(LOCK)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (set PYTHON=...)" >&2; exit 2; }
	@echo "Installing orderctl and its libraries into $(VENV), once." >&2
	@test -x $(BIN)/python || $(NEW_VENV)
	@test -n "$(UV)" || $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(INSTALL) --editable .
	@touch $@

$(EXTRA)%: $(PROGRAM)
	@echo "Installing the $* tools into $(VENV), once." >&2
	@$(INSTALL) --editable '.[$*]'
	@touch $@

$(OWN_UV):
	@"$(PYTHON)" -m venv $(VENV)/uv
	@$(VENV)/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
