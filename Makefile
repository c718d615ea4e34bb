# Sorigil: `make run` shows the whole road on a demo corpus, `make test` checks the code. Both set up what they need.
#
# PYTHON=python3.12 chooses the interpreter. A package index of yours is used through pip's own settings
# (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, pip.conf); with a CPU index for torch the set-up is 1.7 GB instead of several.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := demo,formats,dev
STAMP := $(VENV)/.set-up

.PHONY: setup run test test-full lint bench shelf clean help
.DEFAULT_GOAL := help

help:
	@echo "make run        the quickstart: demo speech -> features -> models -> transcripts -> report"
	@echo "make test       lint, types, layers, tests (under 10 minutes)"
	@echo "make test-full  also what is slow: kills, long recordings, real data"
	@echo "make bench      what preparing costs beside others (hours; BENCH='--minutes 6 --rounds 1' for a quick look)"
	@echo "make shelf      every network on the real sets (hours; SHELF='--networks gru lstm --sets yesno' for some of it)"
	@echo "make setup      the environment alone"
	@echo "make clean      remove data/ (the demo corpus, the store, MLflow's database)"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) with $$($(PYTHON) --version) (one to three minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sorigil needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "the module venv is missing: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $(STAMP)
	@echo "set up; $(BIN)/sorigil is the command"

run: setup
	@$(BIN)/sorigil run quickstart

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-full: setup
	$(BIN)/python -m pytest -m slow

bench: setup
	$(BIN)/python -m benchmarks $(BENCH)

shelf: setup
	$(BIN)/python -m benchmarks.shelf $(SHELF)

clean:
	rm -rf data
