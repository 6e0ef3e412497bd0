# The environment, the studies and the checks; `make help` lists what can be made.

PYTHON ?= python3

VENV := .venv
STAMPS := .stamps$(VENV:.venv%=%)
EXTRAS := dev
PIP_INSTALL = $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PYTEST = $(VENV)/bin/python -m pytest -n 2 --dist worksteal --max-worker-restart 4 $(WITHOUT_TORCH)
# Modules and tests of training cannot be imported where PyTorch cannot be installed.
WITHOUT_TORCH = $(shell $(VENV)/bin/python -c 'import importlib.util as i, sys; sys.exit(i.find_spec("torch") is None)' 2>/dev/null \
  || echo --ignore=src/gemstones/train --ignore=tests/train)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: study paper docs test test-long coverage test-hidden test-all test-lowest data browser lint types layers check bench \
  bench-compare dist clean help

# Published data: from the environment, else from beside the checkout, else `gemstones` downloads it. The tests look
# for themselves, and say what they skip where there is none.
ifeq ($(GEMSTONES_DATA_DIR),)
ifneq ($(wildcard ../shared/data/.),)
paper: export GEMSTONES_DATA_DIR := $(abspath ../shared/data)
endif
endif

study: $(STAMPS)/report ## Study our own suite, pebbles-2, in out/study
	$(VENV)/bin/gemstones study pebbles-2 --select cooldown --output out/study

paper: $(STAMPS)/report ## Make every figure and claim of the paper again, in out/paper
	$(VENV)/bin/gemstones paper --output out/paper

# Pages, references and figures: a warning, or a link that leads nowhere, is an error. Nothing is downloaded.
docs: $(STAMPS)/docs ## Build the documentation as a site, out/docs/index.html
	$(VENV)/bin/python -m docs.site --output out/docs

test: $(STAMPS)/dev browser ## Run the tests, the long ones only where CI is set
	$(PYTEST) $(if $(CI),--durations=60 --durations-min=5)

test-long: $(STAMPS)/dev browser ## Run all tests, the long ones too
	$(PYTEST) --long

# Not part of CI: it makes the tests a third slower.
coverage: $(STAMPS)/dev browser ## Run all tests and fail where they cover less of the code than they did
	$(PYTEST) --long --cov --cov-report=term

data: $(STAMPS)/report ## Download the published files that some tests read, into the cache (1 MB)
	$(VENV)/bin/python -m tests.published_data

# What is fast, as on a machine that has no published files.
test-hidden: $(STAMPS)/dev ## Run the fast tests with the published files hidden
	$(PYTEST) -q --hide-published-data $(FAST)

FAST := tests/accounting tests/cli/test_contract.py tests/cli/test_one_answer.py tests/design tests/laws/test_fit.py \
  tests/laws/test_envelope.py tests/laws/test_published.py tests/planning/test_plan.py tests/analyses/test_prescribe.py \
  tests/report/test_tables.py tests/runs/test_fetch.py tests/runs/test_known_data.py tests/runs/test_packaged.py \
  tests/runs/test_pebbles.py \
  tests/runs/test_table.py tests/test_published_data.py tests/test_shape.py tests/test_units.py

# Each Python that is here, on the PATH or of pyenv's, in an environment of its own; without the tests of training
# where PyTorch cannot be installed.
test-all: ## Run the tests on every Python from 3.11 to 3.14 that is here
	@for version in 3.11 3.12 3.13 3.14; do \
	  python=; for one in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python$$version; do \
	    if $$one -c '' 2>/dev/null; then python=$$one; fi; \
	  done; \
	  if [ -z "$$python" ]; then echo "make test-all: no Python $$version here"; continue; fi; \
	  echo "make test-all: Python $$version, $$python"; \
	  with="VENV=.venv-$$version PYTHON=$$python"; \
	  { $(MAKE) --no-print-directory .stamps-$$version/dev $$with \
	    || $(MAKE) --no-print-directory .stamps-$$version/dev $$with EXTRAS=report,pandas,dask,trackers,test; } \
	  && $(MAKE) --no-print-directory test $$with || failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "make test-all: failed on$$failed" >&2; exit 1; fi

# The oldest releases that pyproject.toml allows, of what it asks for by name, but of the tests' own tools; without what
# needs PyTorch.
test-lowest: VENV := .venv-lowest
test-lowest: browser ## Run the tests with the oldest releases that are allowed
	$(PYTHON) -m venv --clear $(VENV)
	sed '/^test = \[/,/^\]/d; /^dev = \[/,/^\]/d' pyproject.toml | grep -oE '[a-zA-Z0-9.-]+(\[[a-z]+\])?>=[0-9.]+' \
	  | sed -E 's/\[.*\]//; s/>=/==/' > $(VENV)/floors.txt
	$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --constraint $(VENV)/floors.txt \
	  --editable '.[report,pandas,test]'
	$(PYTEST)

lint: $(STAMPS)/dev ## Check style and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(STAMPS)/dev ## Check types
	$(VENV)/bin/mypy

layers: $(STAMPS)/dev ## Check that imports go one way
	$(VENV)/bin/lint-imports

check: lint types layers ## Lint, types and layers

# What people wait for, timed on this machine; runs are kept in .benchmarks, the last one is what is compared with.
BENCH = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest benchmarks/test_paths.py -q -p no:xdist \
  --benchmark-storage=.benchmarks --benchmark-columns=min,median,rounds --benchmark-sort=name

bench: $(STAMPS)/dev ## Time the paths that people wait for, and keep the result
	$(BENCH) --benchmark-autosave

bench-compare: $(STAMPS)/dev ## Time them again: fail where one takes half as long again as in the last result kept
	$(BENCH) --benchmark-compare --benchmark-compare-fail=min:50%

dist: $(STAMPS)/release ## Build the source archive and the wheel in dist/, and check them (docs/releasing.md)
	@test -z "$$(git status --porcelain)" || { echo "make dist: commit or stash first: $$(git status --porcelain | head -1)" >&2; exit 1; }
	@version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); grep -q "^## $$version " CHANGELOG.md || { \
	  echo "make dist: CHANGELOG.md has no heading for $$version: see docs/releasing.md" >&2; exit 1; }
	rm -rf dist
	$(VENV)/bin/python -m build
	$(VENV)/bin/python -m twine check --strict dist/*

clean: ## Remove the environment, caches and builds; out/ stays
	rm -rf .venv* .stamps* build dist .benchmarks .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# The tests of the page need a Chromium: one that is there, else Debian's; $(CHROMIUM) may name another. They are
# skipped where there is none.
browser:
	@command -v $${CHROMIUM:-chromium} >/dev/null || command -v google-chrome >/dev/null || { \
	  echo "installing Debian's chromium, which the tests of the page need"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo='sudo -n'; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq chromium >/dev/null; } || \
	  echo "make test: no Chromium: install one, or set CHROMIUM to its command, to run the tests of the page" >&2

# A stamp is newer than what it was installed from. Both installs are editable, so that the code is never a
# stale copy; `dev` includes `report`.

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)

$(STAMPS)/report: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[report]'
	@mkdir -p $(@D) && touch $@

$(STAMPS)/docs: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[docs]'
	@mkdir -p $(@D) && touch $(STAMPS)/report $@

$(STAMPS)/release: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP_INSTALL) build twine
	@mkdir -p $(@D) && touch $@

$(STAMPS)/dev: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[$(EXTRAS)]'
	@mkdir -p $(@D) && touch $(STAMPS)/report $@
