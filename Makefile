# Everything a person does with a checkout. Each target brings what it needs, on a bare Debian too.
# More words for the tools go into ARGS: make test-unit ARGS='-k liveness -x'

SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv packages lint format test test-unit test-integration test-e2e test-e2e-sqlite test-e2e-postgres test-e2e-other demo lab bench bench-definitions docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

venv: .venv/.ready ## build .venv in the checkout; done again only when its requirements change

.venv/.ready: pyproject.toml constraints.txt deploy/make-venv
	@PYTHON=$(PYTHON) deploy/make-venv

packages: ## install the Debian packages that the tests need (as root), or name the missing ones
	@deploy/install-packages deploy/debian-packages

lint: venv ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv ## let ruff put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A file stays in one process: its servers are started once.
test: packages lint ## everything that CI checks
	$(BIN)/pytest --numprocesses=auto --dist=loadfile tests/unit tests/integration $(ARGS)
	$(MAKE) test-e2e

test-unit: venv ## rules and values: no server, seconds
	$(BIN)/pytest tests/unit $(ARGS)

test-integration: venv packages ## real Redis, PostgreSQL and ipmi_sim, simulated BMCs
	$(BIN)/pytest tests/integration $(ARGS)

test-e2e: venv packages ## real worker processes, killed for real
	$(MAKE) --jobs=3 --output-sync=target test-e2e-sqlite test-e2e-postgres test-e2e-other

# Side by side, because they mostly wait.
test-e2e-sqlite:
	$(BIN)/pytest tests/e2e -m sqlite $(ARGS)

test-e2e-postgres:
	$(BIN)/pytest tests/e2e -m postgres $(ARGS)

test-e2e-other:
	$(BIN)/pytest tests/e2e -m 'not sqlite and not postgres' $(ARGS)

demo: venv ## a cluster in a box: 200 BMCs, two service nodes, one of them killed
	$(BIN)/python -m lab.demo $(ARGS)

lab: venv packages ## as root: nodes that really boot, in network namespaces and QEMU (ARGS=--keep)
	$(BIN)/python -m lab $(ARGS)

bench: venv packages ## speed and cost for 1 to 10,000 BMCs, beside other ways: docs/benchmarks.md
	$(BIN)/python -m bench $(ARGS)

bench-definitions: venv packages ## definition commands on 10,000 nodes, on both databases
	$(BIN)/python -m bench.definitions $(ARGS)

docs: venv ## write docs/reference anew from the code
	$(BIN)/python docs/generate.py

clean: ## remove what the targets above made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build
