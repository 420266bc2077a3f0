# What can be done with this repository; `make` alone lists it.
#
# Each target first installs what it needs, into environments inside the checkout, in the versions of requirements/ and
# from the index that pip is configured for. A file named `installed` or `*.installed` marks a finished installation,
# so that the next call skips it.

PYTHON ?= python3

VENV := .venv
MELTANO_VENV := .venv-meltano
EXAMPLES_VENV := .venv-examples
NEXT_VENV := .venv-next
LOADERS_VENV := .venv-loaders
# The loaders that the tests run without Meltano.
LOADERS := target-csv target-postgres
INSTALL := -m pip install --quiet --disable-pip-version-check --only-binary :all:

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Load an invented contact centre into DuckDB, and a CRM into the contact centre, with Meltano.
	@$(MAKE) --silent --no-print-directory -j 2 $(VENV)/installed .meltano/demo.installed
	@$(VENV)/bin/python -m tests.demo

.PHONY: test
test: ## Run all tests, those that run Meltano as a process included.
	@$(MAKE) --silent --no-print-directory -j 2 $(VENV)/installed .meltano/demo.installed .meltano/test.installed \
		$(LOADERS:%=$(LOADERS_VENV)/%/installed)
	@$(VENV)/bin/python -m pytest

.PHONY: test-next
test-next: $(NEXT_VENV)/installed ## Run the tests with the newest pre-release of the SDK, without Meltano.
	@$(NEXT_VENV)/bin/python $(INSTALL) --upgrade --constraint $(NEXT_VENV)/locked.txt '$(NEXT_SDK)'
	@$(NEXT_VENV)/bin/python -m pip list --disable-pip-version-check | grep singer-sdk
	@$(NEXT_VENV)/bin/python -m pytest

.PHONY: test-examples
test-examples: $(VENV)/installed $(EXAMPLES_VENV)/installed ## Run the tests of the examples that need an environment of their own.
	@$(EXAMPLES_VENV)/bin/python -m pytest examples/backfill

.PHONY: lint
lint: $(VENV)/installed ## Check style, format and types.
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

.PHONY: format
format: $(VENV)/installed ## Format the code, and apply the fixes that need no decision.
	@$(VENV)/bin/ruff check --fix-only --quiet
	@$(VENV)/bin/ruff format

.PHONY: docs
docs: $(VENV)/installed ## Build the documentation site into build/docs; warnings are errors.
	@$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet -b html -c docs -d build/doctrees . build/docs
	@echo "The documentation site is in build/docs/index.html"

.PHONY: generate
generate: $(VENV)/installed ## Write all files that repeat the code.
	@$(VENV)/bin/python -m tools

.PHONY: bench
bench: $(VENV)/installed ## Measure what the commands cost, beside limits and stock commands, in some 20 minutes.
	@$(VENV)/bin/python -m benchmarks

.PHONY: pins
pins: $(MELTANO_VENV)/installed ## Choose the newest versions that pyproject.toml allows, for requirements/.
	@$(COMPILE) pyproject.toml --group dev --output-file requirements/dev.txt
	@$(COMPILE) --group meltano --output-file requirements/meltano.txt
	@$(COMPILE) examples/backfill/requirements.in --output-file examples/backfill/requirements.txt
	@for loader in $(LOADERS); do \
		$(COMPILE) requirements/loaders/$$loader.in --output-file requirements/loaders/$$loader.txt || exit; done

.PHONY: clean
clean: ## Remove all that make has installed or written, Meltano's state included.
	@rm -rf $(VENV) $(MELTANO_VENV) $(EXAMPLES_VENV) $(LOADERS_VENV) $(NEXT_VENV) .meltano .demo .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist output
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For all systems and versions of Python at once, and without a word about where packages come from. uv comes with
# Meltano, which is why it needs no installation of its own.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make pins" $(MELTANO_VENV)/bin/uv pip compile --quiet --upgrade --universal \
	--python-version 3.11 --only-binary :all: --no-emit-index-url --no-emit-find-links

# The environments.

.PHONY: python
python:
	@test -x $(VENV)/bin/python || $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
		"Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: try make PYTHON=python3.12" % sys.version_info[:2])'

$(VENV)/installed: requirements/dev.txt pyproject.toml | python
	@echo "Installing the tap and its development tools into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python $(INSTALL) --requirement requirements/dev.txt
	@$(VENV)/bin/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# All dependencies as locked, except the SDK. Its version is a pre-release, so that pip accepts pre-releases of the SDK
# and of no other package. The wheel is not asked whether it allows this version (`--no-deps`).
NEXT_SDK := singer-sdk[msgspec,testing]>=0.55.0.dev0

$(NEXT_VENV)/installed: requirements/dev.txt pyproject.toml | python
	@echo "Installing the tap with the newest pre-release of the SDK into $(NEXT_VENV)"
	@$(PYTHON) -m venv --clear $(NEXT_VENV)
	@grep -v '^singer-sdk' requirements/dev.txt > $(NEXT_VENV)/locked.txt
	@$(NEXT_VENV)/bin/python $(INSTALL) --requirement $(NEXT_VENV)/locked.txt '$(NEXT_SDK)'
	@$(NEXT_VENV)/bin/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(MELTANO_VENV)/installed: requirements/meltano.txt | python
	@echo "Installing Meltano into $(MELTANO_VENV)"
	@$(PYTHON) -m venv --clear $(MELTANO_VENV)
	@$(MELTANO_VENV)/bin/python $(INSTALL) --requirement requirements/meltano.txt
	@touch $@

$(EXAMPLES_VENV)/installed: examples/backfill/requirements.txt | python
	@echo "Installing what the examples need into $(EXAMPLES_VENV)"
	@$(PYTHON) -m venv --clear $(EXAMPLES_VENV)
	@$(EXAMPLES_VENV)/bin/python $(INSTALL) --requirement examples/backfill/requirements.txt
	@touch $@

$(LOADERS_VENV)/%/installed: requirements/loaders/%.txt | python
	@echo "Installing $* into $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python $(INSTALL) --requirement $<
	@touch $@

# The plugins of meltano.yml, installed by Meltano: first those that the demo needs, then the others of the tests, since
# two installations at once would lock Meltano's database. The constraints make each installation of this checkout
# repeatable; the loaders name their versions in meltano.yml.
MELTANO_INSTALL := $(MELTANO_VENV)/bin/meltano --log-level warning install

.meltano/demo.installed: meltano.yml pyproject.toml $(MELTANO_VENV)/installed
	@echo "Installing the plugins of the demo with Meltano"
	@PIP_CONSTRAINT=requirements/dev.txt $(MELTANO_INSTALL) tap-daktela target-daktela-crm
	@$(MELTANO_INSTALL) target-duckdb
	@touch $@

.meltano/test.installed: .meltano/demo.installed
	@echo "Installing the other plugins with Meltano"
	@PIP_CONSTRAINT=requirements/dev.txt $(MELTANO_INSTALL) daktela-crm
	@$(MELTANO_INSTALL) target-jsonl
	@touch $@
