# Plain `make` prints what each target does.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

help: ## print what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-8s %s\n", $$1, $$2}'

$(READY): requirements.lock requirements-oracles.lock pyproject.toml sdk/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r requirements-oracles.lock -e . -e ./sdk
	touch $(READY)

install: $(READY) ## set up .venv (the others do it when needed)

demo: $(READY) ## a live shop with six experiments: server, SDK, 14 days in little more than a minute, verdicts; files in upshot-demo/
	@if test -t 1; then exec $(BIN)/upshot demo; else exec $(BIN)/upshot demo --exit; fi

check: $(READY) ## ruff, mypy strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## the checks, then the whole suite with the doctests of code and documents
	$(BIN)/pytest -n 2 --dist worksteal

bench: $(READY) ## the benchmarks and the long simulations (benchmarks/README.md says how long)
	$(BIN)/python -m benchmarks

docs: $(READY) ## regenerate the command reference and check the documents
	$(BIN)/python -m docs.build

lock: ## pin requirements.in again (names no host)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
	  --no-emit-package upshot --no-emit-package upshot-sdk requirements.in -o requirements.lock

.PHONY: help install demo check test bench docs lock
