# `make` alone says what there is. Nothing is installed outside .venv, but for Debian packages where they may be (root).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

SYSTEM_PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMPS := $(VENV)/.stamps
PIP := $(PYTHON) -m pip install -q --disable-pip-version-check
# pip may know of an index or a proxy that uv does not: so it is asked where uv fails.
INSTALL := install() { $(VENV)/bin/uv pip install -q --python $(PYTHON) "$$@" || $(PIP) "$$@"; }; install
LINKS := .cache/types/cuepoint
FOLDERS := streams agents models schemas ops
SOURCES := $(FOLDERS) tests benchmarks
FOR ?=
ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 2
# Tests wait for brokers and browsers most of their time. The tests of a file stay together: they share its parts.
PYTEST = $(VENV)/bin/pytest -n $(WORKERS) --dist loadfile

# Bytecode is kept, even where the environment forbids it: a worker then starts in a third of the processor time.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache

.PHONY: help run test test-kafka chaos lint format typecheck pytest documents lock clean test-packages judges

help: ## this list
	@echo "Cuepoint: alerts and ad decisions as events arrive. Targets:"
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## */\1\t/' | \
		awk -F '\t' '{ printf "  make %-11s %s\n", $$1, $$2 }'

run: $(STAMPS)/run ## the whole system on this machine; FOR=60 ends it by itself, ARGS="--port 0" is passed on
	@$(VENV)/bin/cuepoint run $(if $(FOR),--for $(FOR)) $(ARGS)

test: lint typecheck pytest ## lint, types and all tests (about ten minutes on two cores)

lint: $(STAMPS)/dev ## ruff: rules and format
	$(VENV)/bin/ruff check $(wildcard $(SOURCES))
	$(VENV)/bin/ruff format --check $(wildcard $(SOURCES))

format: $(STAMPS)/dev ## ruff: mend what can be mended
	$(VENV)/bin/ruff check --fix $(wildcard $(SOURCES))
	$(VENV)/bin/ruff format $(wildcard $(SOURCES))

typecheck: $(STAMPS)/dev $(LINKS) ## mypy, strict
	$(VENV)/bin/mypy

pytest: $(STAMPS)/dev test-packages judges ## the tests alone, WORKERS=2 at a time; PYTEST_ARGS="-k ingest" chooses
	$(PYTEST) $(PYTEST_ARGS)

test-kafka: $(STAMPS)/dev test-packages judges ## all tests with Apache Kafka in place of the embedded broker
	CUEPOINT_TEST_BROKER=kafka $(PYTEST) $(PYTEST_ARGS)

chaos: $(STAMPS)/dev test-packages ## kill, stall and rebalance the system on real Kafka; CYCLES=100 SEED=1
	$(PYTHON) tests/chaos --cycles $(or $(CYCLES),20) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench-detection bench-forecast-assets: $(STAMPS)/bench

BENCHMARK = benchmarks/$(subst -,_,$*)
bench-%: $(STAMPS)/dev ## a benchmark of benchmarks/; QUICK=1 for a short form
	@test -e $(BENCHMARK) -o -e $(BENCHMARK).py || { echo "there is no benchmark $*; there are:" \
		$$(ls benchmarks | grep -v '^__' | sed 's/\.py$$//'); exit 2; }
	$(PYTHON) $(if $(wildcard $(BENCHMARK)),$(BENCHMARK),$(BENCHMARK).py) $(if $(QUICK),--quick)

documents: $(STAMPS)/run ## write the generated documents anew
	$(VENV)/bin/cuepoint schema --out docs/contracts
	$(PYTHON) -m cuepoint.ops.dashboards ops/deploy/grafana/dashboards
	$(PYTHON) -m cuepoint.ops.document_tables docs

lock: $(STAMPS)/dev ## resolve requirements/*.lock anew from pyproject.toml
	$(VENV)/bin/uv pip compile -q pyproject.toml --generate-hashes --no-emit-index-url --no-annotate -o requirements/run.lock
	$(VENV)/bin/uv pip compile -q pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-annotate -o requirements/dev.lock
	$(VENV)/bin/uv pip compile -q pyproject.toml --group bench -c requirements/dev.lock --generate-hashes --no-emit-index-url --no-annotate -o requirements/bench.lock

clean: ## remove .venv, caches and the data of runs
	rm -rf $(VENV) .cache .cuepoint .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# ---- installation: stamped, so that a second call costs nothing ----

$(STAMPS)/venv:
	@test -n "$(SYSTEM_PYTHON)" || { echo "Cuepoint needs Python 3.11 or 3.12 (python3 on PATH is neither)" >&2; exit 1; }
	@$(SYSTEM_PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
		else echo "python3 has no venv: install the package python3-venv" >&2; exit 1; fi; }
	$(SYSTEM_PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# uv installs in a fifth of pip's time; it comes by pip itself, with its hash from the lock.
$(STAMPS)/uv: requirements/dev.lock | $(STAMPS)/venv
	@awk '/^uv==/ { p = 1 } /^[a-z]/ && !/^uv==/ { p = 0 } p' requirements/dev.lock > $@.txt
	@$(PIP) --require-hashes -r $@.txt
	@touch $@

$(STAMPS)/package: requirements/build.lock pyproject.toml | $(STAMPS)/uv
	@$(INSTALL) --require-hashes -r requirements/build.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/run: requirements/run.lock $(STAMPS)/package
	@echo "installing into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/run.lock
	@touch $@

$(STAMPS)/dev: requirements/dev.lock $(STAMPS)/package
	@echo "installing into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@ $(STAMPS)/run

# Only the benchmarks of detection and forecasts want it.
$(STAMPS)/bench: requirements/bench.lock $(STAMPS)/dev
	@echo "installing the peers into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/bench.lock
	@touch $@

# mypy does not see through an editable install; links show it the packages where their names say.
$(LINKS): $(MAKEFILE_LIST)
	@mkdir -p $@
	@for folder in $(FOLDERS); do ln -sfn ../../../$$folder $@/$$folder; done
	@for file in __init__.py py.typed; do ln -sfn ../../../cuepoint/$$file $@/$$file; done
	@touch $@

# What the tests want of Debian: installed where we may; else said in one sentence, and those tests skip (in CI they fail).
DEBIAN := chromium:chromium prometheus:prometheus redis-server:redis-server java:default-jre-headless mvn:maven node:nodejs npm:npm
MISSING = for pair in $(DEBIAN); do command -v $${pair%%:*} >/dev/null || printf ' %s' $${pair\#\#*:}; done
test-packages:
	@missing=$$($(MISSING)); \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || true; \
		missing=$$($(MISSING)); \
	fi; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$${CI:-}" = true ]; then echo "CI needs these Debian packages:$$missing" >&2; exit 1; fi; \
	echo "NOT TESTED HERE: these Debian packages are missing, and what needs them is skipped:$$missing" >&2

# Parsers of players that judge VAST, VMAP and HLS: for the tests only.
JUDGES := tests/judges/node_modules/.package-lock.json
judges: test-packages
	@if command -v npm >/dev/null && [ ! tests/judges/package-lock.json -ot $(JUDGES) ]; then \
		cd tests/judges && npm ci --silent --no-audit --no-fund || \
		{ [ "$${CI:-}" != true ] && echo "NOT TESTED HERE: npm does not answer; what needs its parsers is skipped" >&2; }; fi
