# `make help` tells what there is.
SHELL := /bin/bash
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
unexport PYTHONDONTWRITEBYTECODE # images of Python set it; what runs from its sources would be compiled at every start

.PHONY: help setup demo test lint bench clean
.DEFAULT_GOAL := help

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP) ## .venv with everything in it, .venv/bin/watchkeeper, and the console
	@scripts/console

$(STAMP): pyproject.toml uv.lock lab/pyproject.toml packages/monitor/pyproject.toml scripts/setup
	@scripts/setup "$(PYTHON)" "$(VENV)"
	@touch $@

demo: setup ## A real Redis under a real shop fails twice, is found, fixed and proven well; beside it a model whose customers change
	@$(BIN)/python -m watchkeeper_lab demo

test: setup ## Everything that must hold, with how long each part took
	@scripts/test

lint: setup ## ruff, pyright, import-linter, loq
	@scripts/lint

bench: setup ## Every fault and control, several runs, twenty healthy minutes, the baselines, 200 kills, the cost of watching; figures to benchmarks/results/
	@$(BIN)/python benchmarks/watching.py --json benchmarks/results/watching.json
	@$(BIN)/python -m benchmarks.flood --json benchmarks/results/flood.json
	@$(BIN)/python -m benchmarks.many --json benchmarks/results/many.json
	@$(BIN)/python -m benchmarks.crash --kills 200 --json benchmarks/results/crash.json
	@$(BIN)/watchkeeper bench all --runs 5 --json benchmarks/results/lab.json
	@$(BIN)/watchkeeper bench second --runs 3 --json benchmarks/results/second.json
	-@$(BIN)/watchkeeper bench unforeseen --planner scripted --beside runbooks --json benchmarks/results/unforeseen.json
	@$(BIN)/python scripts/inspect-mcp

clean: ## Remove what `make` made here
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache web/node_modules src/watchkeeper/server/console
