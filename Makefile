# Needs python3 (3.11-3.13) and make; everything else is installed into .venv, by hash.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
SCALE ?= 0.02
SEED ?= 42

VENV := .venv
BIN := $(VENV)/bin
VENV_BI := .venv-bi
INSTALL := $(BIN)/uv --quiet pip install --python $(BIN)/python
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
export SCARF_NO_ANALYTICS := 1

.PHONY: help demo bi test test-browser test-long test-bi chaos fuzz check bench up down clean lock

help: ## Show the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22
	@echo; echo "  make demo SCALE=1 runs the demo at the province's full size (default $(SCALE))."

demo: $(VENV)/.run .env ## Three sample months from files to published releases
	$(BIN)/nq42 demo --scale $(SCALE) --seed $(SEED)

test: $(VENV)/.dev ## All tests, on a PostgreSQL of their own
	$(BIN)/pytest --ignore=tests/bench --ignore=tests/browser --ignore=tests/fuzz --ignore=tests/long -n 2 --dist loadfile

test-long: $(VENV)/.dev $(VENV_BI)/.run ## Long proofs: fourteen months, other populations, a new source and KPI
	$(BIN)/pytest tests/long --ignore=tests/long/chaos

test-bi: $(VENV)/.dev $(VENV_BI)/.run ## Of the long proofs that of Superset: every chart, every dashboard in Chromium (PICTURES: a folder)
	BI_PICTURES=$(PICTURES) $(BIN)/pytest tests/long/test_superset.py

chaos: $(VENV)/.dev ## Kill random processes at random moments in a hundred runs (CHAOS_RUNS, CHAOS_SEED, CHAOS_EXECUTOR)
	CHAOS_RUNS=$${CHAOS_RUNS:-100} $(BIN)/pytest -s tests/long/chaos

fuzz: $(VENV)/.dev ## Search for deliveries that end badly: ten thousand damaged ones, new in each run
	$(BIN)/pytest tests/fuzz

test-browser: $(VENV)/.browser ## The reports in Chromium, which must be installed: axe, keyboard, network, print
	$(BIN)/pytest tests/browser

check: $(VENV)/.dev ## Style, layers, SQL, contracts and what is generated from them
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests
	$(BIN)/nq42 contracts check

bench: $(VENV)/.bench ## Measure speed against the targets
	$(BIN)/pytest tests/bench

up: $(VENV)/.run .env ## Start PostgreSQL and Airflow, and leave them running
	$(BIN)/nq42 up

bi: $(VENV)/.run $(VENV_BI)/.run .env ## Start Superset with the dashboards on what is published
	$(BIN)/nq42 bi

down: ## Stop everything that was started
	@if [ -x $(BIN)/nq42 ]; then $(BIN)/nq42 down; fi

clean: down ## Stop everything and delete caches; data stay
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis dbt_project/target dbt_project/logs
	find . -name __pycache__ -not -path './$(VENV)*' -prune -exec rm -rf {} +

lock: $(VENV)/.run ## Resolve the dependencies again and write the lock files
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --no-emit-project --no-header --format requirements.txt --no-dev -o requirements.lock
	$(BIN)/uv export --quiet --no-emit-project --no-header --format requirements.txt -o requirements-dev.lock
	$(BIN)/uv export --quiet --no-emit-project --no-header --format requirements.txt --only-group bench -o requirements-bench.lock
	$(BIN)/uv export --quiet --no-emit-project --no-header --format requirements.txt --only-group browser -o requirements-browser.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements-bi.in -o requirements-bi.lock

# The key makes pseudonyms: losing it means that no person is recognised again. Never overwritten.
.env:
	@umask 077; $(PYTHON) -c 'import re, secrets; print(re.sub("(?m)^NQ42_PSEUDONYM_KEY=$$", "NQ42_PSEUDONYM_KEY=" + secrets.token_urlsafe(48), open(".env.example").read()), end="")' > .env.new
	@mv -n .env.new .env; echo "wrote .env with a new pseudonym key: keep a copy in a safe place"

$(VENV)/.installer: requirements-bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "python3 is %d.%d; 3.11 to 3.13 are needed: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) || { echo "python3 has no venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements-bootstrap.txt
	@touch $@

$(VENV)/.run: $(VENV)/.installer requirements.lock pyproject.toml
	$(INSTALL) --require-hashes --compile-bytecode -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Superset needs versions that the rest cannot live with: an environment of its own (Python 3.11, 3.12).
$(VENV_BI)/.run: $(VENV)/.installer requirements-bi.lock
	@$(PYTHON) -m venv $(VENV_BI)
	$(BIN)/uv --quiet pip install --python $(VENV_BI)/bin/python --require-hashes --compile-bytecode -r requirements-bi.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(INSTALL) --require-hashes --compile-bytecode -r requirements-dev.lock
	@touch $@

$(VENV)/.browser: $(VENV)/.dev requirements-browser.lock
	$(INSTALL) --require-hashes --compile-bytecode -r requirements-browser.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements-bench.lock
	$(INSTALL) --require-hashes --compile-bytecode -r requirements-bench.lock
	@touch $@
