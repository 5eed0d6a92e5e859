# `make` lists what there is. Every target makes .venv with the pinned requirements first, if it is not there yet.

PYTHON ?= $(or $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done),python3.11)
VENV := .venv
BIN := $(VENV)/bin
# requirements.txt is complete, so pip has nothing to resolve; bytecode is compiled when first imported.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps
# Where there is no C++ compiler, one is installed as a package, which says so.
FETCH_COMPILER = $(BIN)/python setup.py --quiet fetch_compiler
PINS := requirements.txt pyproject.toml setup.py
NATIVE := $(wildcard native/*.?pp native/*/*.?pp native/*/*/*.?pp)

# Each command that imports Beam would compile it anew, for a second or two; tests start hundreds of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-nightly check lint types wheel sanitize fuzz simulate movielens flink-up flink-down soak bench bench-quick docs docs-site pins clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/native.stamp ## watch it work: traffic, pipeline, Redis, look-ups, the check against brute force
	@$(BIN)/user-state demo

test: $(VENV)/dev.stamp ## every test; those of Pub/Sub run where its emulator is installed
	@$(BIN)/python -m pytest --numprocesses 2

test-fast: $(VENV)/dev.stamp ## the tests that need no server, no Beam and no patience, for while you work: under a minute
	@$(BIN)/python -m pytest --numprocesses 2 --durations 5 --durations-min 2 \
		-m "not server and not beam and not slow and not network and not pubsub"

test-nightly: $(VENV)/dev.stamp ## the tests that take minutes each and are in no other target
	@NIGHTLY=1 $(BIN)/python -m pytest --numprocesses 2 -m nightly

check: lint types test ## what CI runs

lint: $(VENV)/dev.stamp ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## strict mypy
	@$(BIN)/mypy

sanitize: $(VENV)/dev.stamp ## the compiled code under AddressSanitizer and UBSan, in build/sanitize
	@.ci/sanitize

wheel: $(VENV)/dev.stamp ## dist/: a wheel with the compiled code in it, and the sources that it is made of
	@$(BIN)/python -m build --no-isolation --outdir dist

fuzz: $(VENV)/dev.stamp ## damaged bytes into every verb of the core: INPUTS=1000000; one again: FUZZ="--seed 1 --input 7"
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) $(FUZZ)

simulate: $(VENV)/dev.stamp ## histories in which everything goes wrong: SEEDS=1000; one again: SIMULATE="--seed 7"
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) $(SIMULATE)

movielens: $(VENV)/dev.stamp ## 100,000 real interactions through Pub/Sub into Redis, checked for every user
	@$(BIN)/python -m examples.movielens.run

flink-up: $(VENV)/native.stamp ## a Flink cluster on this machine, for user-state run --runner flink: see docs/flink.md
	@deploy/flink/up.sh

flink-down: ## end that cluster
	@deploy/flink/down.sh

soak: $(VENV)/dev.stamp ## twenty minutes on Flink while everything is killed at random: SOAK="--minutes 5 --seed 7"
	@$(BIN)/python -m tests.flink.soak $(SOAK)

bench: $(VENV)/dev.stamp ## pipeline and serving, beside their baselines
	@$(BIN)/python -m bench.pipeline
	@$(BIN)/python -m bench.serving
	@$(BIN)/python -m bench.embeddings
	@$(BIN)/python -m bench.composing
	@$(BIN)/python -m bench.flink
	@$(BIN)/python -m bench.coalesce
	@$(BIN)/python -m bench.learned
	@$(BIN)/python -m bench.history
	@$(BIN)/python -m bench.backfill

bench-quick: $(VENV)/dev.stamp ## the same in less time, with less to go by
	@$(BIN)/python -m bench.pipeline --quick
	@$(BIN)/python -m bench.serving --quick
	@$(BIN)/python -m bench.embeddings --quick
	@$(BIN)/python -m bench.composing --quick
	@$(BIN)/python -m bench.flink --quick
	@$(BIN)/python -m bench.coalesce --quick
	@$(BIN)/python -m bench.learned --quick
	@$(BIN)/python -m bench.history --quick
	@$(BIN)/python -m bench.backfill --quick

docs: $(VENV)/dev.stamp ## write the pages that come from the code anew, and dashboard and alerts
	@$(BIN)/python docs/generate_cli.py
	@$(BIN)/python docs/generate_record.py
	@$(BIN)/python docs/generate_metrics.py
	@$(BIN)/python docs/generate_beam_patches.py

docs-site: $(VENV)/dev.stamp ## the documentation as a site, in build/site: open build/site/index.html
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "wrote build/site/index.html"

pins: ## resolve all dependencies anew, into requirements*.txt
	@PYTHON=$(PYTHON) .ci/pin

clean: ## remove the environment and what tools left behind; data/ stays
	rm -rf $(VENV) build dist user_state/_native*.so *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# What the demo needs: the first part of the pins. Compiling takes nothing of them but two, and begins while the others come.
$(VENV)/run.stamp: $(PINS)
	@echo "making $(VENV) with $(PYTHON), and compiling: a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@sed '/^# To develop/,$$d' requirements.txt > $(VENV)/run.txt
	@grep -E '^(setuptools|pybind11)==' $(VENV)/run.txt > $(VENV)/build.txt
	@$(PIP_INSTALL) -r $(VENV)/build.txt
	@$(FETCH_COMPILER)
	@$(PIP_INSTALL) --no-build-isolation -e . & compiling=$$!; \
	$(PIP_INSTALL) -r $(VENV)/run.txt; installed=$$?; wait $$compiling && exit $$installed
	@touch $@ $(VENV)/native.stamp

# The compiled code again, after its sources changed; not where what installed the project has just compiled it.
$(VENV)/native.stamp: $(VENV)/run.stamp $(NATIVE)
	@built=$$(ls -t user_state/_native*.so 2>/dev/null | head -1); \
	if [ -z "$$built" ] || [ -n "$$(find native setup.py -newer "$$built" -print -quit)" ] || \
		! $(BIN)/python -c 'import user_state.native' 2>/dev/null; then \
		$(FETCH_COMPILER) && $(BIN)/python setup.py --quiet build_ext --inplace; fi
	@touch $@

# What tests, lint and types need beyond that.
$(VENV)/dev.stamp: $(VENV)/native.stamp
	@sed '1,/^# To develop/d' requirements.txt > $(VENV)/dev.txt
	@$(PIP_INSTALL) -r $(VENV)/dev.txt
	@touch $@
