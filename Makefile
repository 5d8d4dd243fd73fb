# Every command a person or CI needs. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
DEMO_ROWS ?= 3000
DEMO_EPOCHS ?= 12
DEMO_DIR ?= demo

.PHONY: help setup demo test test-lowest test-package check docs lock

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /' | column -t -s '  ' -l 2

setup: .venv/ready  ## make .venv with everything pinned

.venv/ready: requirements/dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: setup  ## draw a catalogue, train on it, evaluate, predict, show the result
	PATH="$(CURDIR)/$(BIN):$$PATH" DEMO_ROWS=$(DEMO_ROWS) DEMO_EPOCHS=$(DEMO_EPOCHS) DEMO_DIR=$(DEMO_DIR) bash scripts/demo.sh

test: setup  ## run the tests
	$(BIN)/pytest

test-lowest: setup  ## every command once with the oldest dependencies allowed, in .venv-lowest
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct ".[export,openvino]"
	PATH="$(CURDIR)/.venv-lowest/bin:$$PATH" bash scripts/smoke.sh

test-package: setup  ## build sdist and wheel, try both in clean environments
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/test_package.sh

check: setup  ## lint, formatting, types, layers, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos

docs: setup  ## run every code block of README.md and docs/
	$(BIN)/pytest README.md docs

lock: setup  ## renew the pins in requirements/
	$(BIN)/uv pip compile --quiet --universal --generate-hashes pyproject.toml --group dev --extra tensorboard -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes pyproject.toml -o requirements/runtime.lock
