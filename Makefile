SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .preceptor/tools
UV := $(TOOLS)/bin/uv
IMAGES := facade adapter-serving retrieval reconciliation sandbox-ehr triage
MEMBERS := libs/fhir-support libs/service-contracts libs/service-runtime $(addprefix services/,$(IMAGES)) cli
OURS := fhir-support service-contracts service-runtime $(IMAGES) preceptor
SOURCES := libs services cli tests benchmarks
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(addprefix --no-emit-package ,$(OURS))

.PHONY: help install demo up down opensearch test lint fmt bench train-demo-adapter lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install everything into the checkout

demo: install ## Start the suite, discharge a synthetic patient and show the checked document
	@$(BIN)/preceptor demo

up: install ## Start the suite and keep it up until Ctrl-C
	@$(BIN)/preceptor up

down: install ## Stop what an interrupted run left behind
	@$(BIN)/preceptor down

opensearch: install ## Run a local OpenSearch (Java 21 and Maven needed) until Ctrl-C
	@$(BIN)/python -m preceptor.opensearch

# The suite has deadlines to keep, so nothing else runs beside it.
test: install ## Prepare what the tests need and run all of them
	@$(BIN)/preceptor prepare
	$(BIN)/pytest --numprocesses 2 --durations 20 --ignore tests/suite
	$(BIN)/pytest tests/suite

lint: install ## Check style, types, import contracts
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(addsuffix /src,$(MEMBERS))
	$(BIN)/lint-imports

fmt: install ## Format the code and sort imports
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: install ## Measure the suite and write the tables of benchmarks/
	@$(BIN)/preceptor prepare
	$(BIN)/python -m benchmarks

train-demo-adapter: install ## Train the shipped adapter again from nothing (under an hour on two cores)
	$(BIN)/preceptor train discharge-instructions

lock: $(UV) ## Resolve dependencies again and write requirements/*.txt, pinned by hash
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" requirements/tools.in -o requirements/tools.txt
	$(COMPILE) $(addsuffix /pyproject.toml,$(MEMBERS)) --group dev -o requirements/dev.txt
	for image in $(IMAGES); do \
		$(COMPILE) services/$$image/pyproject.toml -c requirements/dev.txt -o requirements/$$image.txt || exit 1; done
	$(COMPILE) cli/pyproject.toml -c requirements/dev.txt -o requirements/cli.txt

clean: ## Remove the environment and everything the suite keeps in the checkout
	rm -rf $(VENV) .preceptor

$(UV): requirements/tools.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed: name one with make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) || \
		{ echo "Python has no venv module: install it (on Debian: apt-get install python3-venv)"; exit 1; }
	$(TOOLS)/bin/pip install --quiet --require-hashes -r requirements/tools.txt
	touch $@

$(VENV)/.installed: $(UV) requirements/dev.txt $(addsuffix /pyproject.toml,$(MEMBERS))
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	touch $@
