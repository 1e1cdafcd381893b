SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .preceptor/tools
UV := $(shell command -v uv || echo $(TOOLS)/bin/uv)
MEMBERS := libs/fhir-support libs/service-contracts libs/service-runtime \
	services/facade services/adapter-serving services/retrieval services/reconciliation services/sandbox-ehr cli
OURS := fhir-support service-contracts service-runtime facade adapter-serving retrieval reconciliation sandbox-ehr preceptor
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(addprefix --no-emit-package ,$(OURS))

.PHONY: lock
lock: ## Resolve dependencies again and write requirements/*.txt, pinned by hash
	$(COMPILE) $(addsuffix /pyproject.toml,$(MEMBERS)) --group dev -o requirements/dev.txt
	for image in facade adapter-serving retrieval reconciliation sandbox-ehr; do \
		$(COMPILE) services/$$image/pyproject.toml -c requirements/dev.txt -o requirements/$$image.txt || exit 1; done

$(VENV)/.installed: requirements/dev.txt $(addsuffix /pyproject.toml,$(MEMBERS))
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	touch $@
