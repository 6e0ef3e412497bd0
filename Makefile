# The environment, the studies and the checks; `make help` lists what can be made.

PYTHON ?= python3

VENV := .venv
PIP_INSTALL := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: study paper test data browser lint types layers check clean help

# Published data: from the environment, else from beside the checkout, else `gemstones` downloads it. The tests look
# for themselves, and say what they skip where there is none.
ifeq ($(GEMSTONES_DATA_DIR),)
ifneq ($(wildcard ../shared/data/.),)
paper: export GEMSTONES_DATA_DIR := $(abspath ../shared/data)
endif
endif

study: .stamps/report ## Study our own suite, pebbles, in out/study
	$(VENV)/bin/gemstones study pebbles --output out/study

paper: .stamps/report ## Make every figure and claim of the paper again, in out/paper
	$(VENV)/bin/gemstones paper --output out/paper

test: .stamps/dev browser ## Run all tests
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

data: .stamps/report ## Download the published files that some tests read, into the cache
	$(VENV)/bin/python -m tests.published_data

lint: .stamps/dev ## Check style and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: .stamps/dev ## Check types
	$(VENV)/bin/mypy

layers: .stamps/dev ## Check that imports go one way
	$(VENV)/bin/lint-imports

check: lint types layers ## Lint, types and layers

clean: ## Remove the environment, caches and builds; out/ stays
	rm -rf $(VENV) .stamps build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

help: ## List these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# The page's tests need a Chromium: one that is there, else Debian's. $(CHROMIUM) may name another.
browser:
	@command -v $${CHROMIUM:-chromium} >/dev/null || command -v google-chrome >/dev/null || { \
	  echo "installing Debian's chromium, which the tests of the page need"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq chromium >/dev/null; } || { \
	  echo "make test: no Chromium: install one, or set CHROMIUM to its command" >&2; exit 1; }

# A stamp is newer than what it was installed from. Both installs are editable, so that the code is never a
# stale copy; `dev` includes `report`.

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)

.stamps/report: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[report]'
	@mkdir -p $(@D) && touch $@

.stamps/dev: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[dev]'
	@mkdir -p $(@D) && touch .stamps/report $@
