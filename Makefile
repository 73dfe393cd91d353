# make demo: from a bare machine to a fine-tuned, judged, served model. make help lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
PYTEST_ARGS ?=
# Whole files to a process each, in the order of tests/conftest.py; one process more than there are cores, for many tests wait
# for a server or a trainer to start.
# The end-to-end tests share one platform and measure it: one after another.
SIDE_BY_SIDE := -n $(shell echo $$(($$(nproc) + 1))) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
RUN := sh tests/run.sh $(BIN)/python
export OMP_NUM_THREADS ?= 1

.PHONY: help setup up down status demo test test-deep check lint clean distclean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make the Python environments (seconds when nothing has changed)
	@python=$$(PYTHON="$(PYTHON)" sh setup/find_python.sh) && exec "$$python" setup/install.py

up: setup ## Start the platform
	@./tuneway up

down: ## End everything the platform started
	@./tuneway down

status: ## Show what runs
	@./tuneway status

demo: setup ## Run the whole pipeline on the demo input
	@./tuneway demo

lint: setup ## Format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@PYTHONPATH=. $(BIN)/lint-imports

check: lint ## Everything that is fast
	@$(RUN) $(SIDE_BY_SIDE) -- -m "not slow and not e2e" $(PYTEST_ARGS)

test: lint ## Everything, but for what test-deep repeats
	@# the end-to-end tests' base model is made meanwhile; its lock lets them wait for it
	@mkdir -p var && $(BIN)/python -m demo.pretrain --output var/models/base/demo-base > var/pretrain.log 2>&1 &
	@$(RUN) $(SIDE_BY_SIDE) -- -m "not e2e and not deep" $(PYTEST_ARGS)
	@$(RUN) -- -m "e2e and not deep" $(PYTEST_ARGS)

test-deep: setup ## What test holds, again by other ways and at length: more kills, more widths, every bar
	@$(RUN) $(SIDE_BY_SIDE) -- -m "deep and not e2e" $(PYTEST_ARGS)
	@$(RUN) -- -m "deep and e2e" $(PYTEST_ARGS)

clean: ## Remove caches
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
	@find . -name __pycache__ -type d -not -path './.venv*' -not -path './var/*' -prune -exec rm -rf {} +

distclean: down clean ## Remove caches and environments too; the data folder stays
	@rm -rf .venv .venv-vllm .make
