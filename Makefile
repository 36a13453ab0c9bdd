# On a machine with Python 3.11 or newer, git and make:
#   make demo    set up .venv and run the quickstart notebook
#   make quick   run the fast tests, in less than a minute
#   make test    set up what the tests need and run them all
# More: lab, notebooks, front-ends, pictures, screencast, cassettes, coverage, bench, soak, mutants, docs, check, fmt, lock, clean.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin

# Containers often forbid compiled files. The tests start hundreds of Python processes, and each
# would compile pandas and the SDK again, which takes longer than most of the tests.
unexport PYTHONDONTWRITEBYTECODE

# The first Python that is new enough; override with `make PYTHON=/path/to/python3 ...`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

# uv installs what uv.lock says, and is itself installed at the version found there.
UV_VERSION = $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
SYNC = $(BIN)/uv sync --frozen --quiet --inexact --python $(BIN)/python

# More arguments for pytest: make test ARGS='tests/runtime -k chat'
ARGS ?=
COVERING = tests/protocol tests/runtime tests/cassette tests/properties
PROCESSORS := $(shell nproc 2>/dev/null || echo 2)
# More workers than processors: a test that starts processes waits for a third of its time.
WORKERS ?= $(shell echo $$(( ($(PROCESSORS) * 3 + 1) / 2 )))

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: demo
demo: $(VENV)/.ready-demo ## Run the quickstart notebook without a browser, and print where the result is
	$(BIN)/agy-nb demo --output build/demo

.PHONY: lab
lab: $(VENV)/.ready ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=notebooks

.PHONY: notebooks
notebooks: $(VENV)/.ready ## Run the notebooks again and keep their outputs
	$(BIN)/python -m tests.notebooks.refresh

.PHONY: cassettes
cassettes: $(VENV)/.ready ## Record the shipped cassettes again, each twice
	$(BIN)/python scripts/record_cassettes.py

# These have a run of their own, since Playwright leaves an event loop in its thread. Each run is
# given the folder or the files with its tests: to load all others takes ten seconds.
IN_BROWSER = tests/widgets/in_lab
IN_SERVERS = tests/widgets/in_servers
# What type checkers say about a user's program is part of `make check`.
IN_CHECKERS = tests/type_checkers

.PHONY: test
test: $(VENV)/.ready browser ## Run all tests: in parallel, those in a browser, those that measure time
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not alone" --ignore $(IN_BROWSER) --ignore $(IN_SERVERS) --ignore $(IN_CHECKERS)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(IN_BROWSER)
	$(BIN)/python -m pytest -m alone $$(grep -rlE 'mark\.alone\b' tests --include='*.py')
else
	$(BIN)/python -m pytest $(ARGS)
endif

# Starts no harness, kernel or browser, and waits for no process.
QUICK = not (real or browser or alone or kernel_matrix or slow)

# VS Code's widget manager; without npm, its test is skipped.
VSCODE_WIDGETS = @vscode/jupyter-ipywidgets8@1.0.9

.PHONY: front-ends
front-ends: $(VENV)/.ready browser ## Install marimo, Voila, Panel, Solara and consoles, and test the views there
	$(SYNC) --all-extras --group front-ends
	mkdir -p build/npm
	if command -v npm > /dev/null; then npm pack --silent --pack-destination build/npm $(VSCODE_WIDGETS); fi
	$(BIN)/python -m pytest -n 2 --dist loadfile $(IN_SERVERS) $(ARGS)

.PHONY: pictures
pictures: $(VENV)/.ready browser ## Make the pictures of the documentation again
	AGY_PICTURES=1 $(BIN)/python -m pytest $(IN_BROWSER)/test_pictures.py $(IN_BROWSER)/test_comparisons.py \
	  "$(IN_BROWSER)/test_turns.py::test_turn_streams_into_the_cell_and_stays_as_html" \
	  "$(IN_BROWSER)/test_notebook7.py::test_click_allows" $(ARGS)
	$(BIN)/python -m tests.docs.generated.plot_pictures

.PHONY: screencast
screencast: $(VENV)/.ready browser ## Film the screencast of the documentation again
	AGY_SCREENCAST=1 $(BIN)/python -m pytest $(IN_BROWSER)/screencast $(ARGS)

.PHONY: quick
quick: $(VENV)/.ready ## Run the fast tests of every package, in less than a minute
	$(BIN)/python -m pytest -q -n $(PROCESSORS) --dist worksteal -m "$(QUICK)" --ignore $(IN_BROWSER) --ignore $(IN_SERVERS) $(ARGS)

.PHONY: coverage
coverage: $(VENV)/.ready ## Measure branch coverage of protocol, runtime and cassettes; fails below 95 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) -m "not alone" $(COVERING)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

.PHONY: bench
bench: $(VENV)/.ready ## Run the benchmarks, and write docs/performance.md
	$(BIN)/python -m pytest tests/benchmarks -o asyncio_debug=false -o timeout=900 \
		--write-table docs/performance.md $(ARGS)

.PHONY: soak
soak: $(VENV)/.ready ## Run the long tests: properties, five thousand real turns, every fault and kernel
	AGY_SOAK=1 $(BIN)/python -m pytest tests/properties tests/endurance tests/growth tests/cassette/redaction/secrets/test_secret_prose.py tests/cassette/storage/test_mutated.py tests/cassette/storage/test_hostile_files.py -n auto -o timeout=3600 $(ARGS)
	AGY_SOAK=1 $(BIN)/python -m pytest -m hypothesis --ignore tests/properties -n auto -o timeout=3600 $(ARGS)
	AGY_SOAK=1 $(BIN)/python -m pytest tests/kernel -m kernel_matrix -n $(WORKERS) --dist worksteal $(ARGS)
	AGY_SOAK=1 $(BIN)/python -m pytest tests/faults tests/cassette/test_cancelled.py -n auto -o timeout=900 \
		--write-table docs/reliability.md

.PHONY: matrix
matrix: $(VENV)/.ready ## Run the fast tests with each supported Python, pandas, pytest and ipykernel
	$(BIN)/python scripts/matrix.py $(ARGS)

.PHONY: sdk-matrix
sdk-matrix: $(VENV)/.ready ## Run the SDK tests with the oldest and the newest supported version
	$(BIN)/python scripts/sdk_matrix.py $(ARGS)

.PHONY: mutants
mutants: $(VENV)/.ready ## Break the package on purpose and check that the tests notice
	$(BIN)/python -m tests.mutants.run $(ARGS)

.PHONY: docs
docs: $(VENV)/.ready ## Build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

.PHONY: check
check: $(VENV)/.ready ## Run linters and type checkers, check wording and lock file, build the documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q $(IN_CHECKERS)
	$(BIN)/python -m tests.contract.prose --check
	$(BIN)/uv lock --check --offline --quiet
	$(MAKE) docs

.PHONY: fmt
fmt: $(VENV)/.ready ## Format the code and apply automatic fixes
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: lock
lock: $(VENV)/.ready-demo ## Update uv.lock after a change of dependencies
	$(BIN)/uv lock --upgrade

.PHONY: clean
clean: ## Remove the environments and all generated files
	rm -rf $(VENV) .venvs build dist docs/_build docs/jupyter_execute
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .coverage .coverage.*
	find agy_nb tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments: made once, and again when the dependencies change ---

$(VENV)/.ready: $(VENV)/.ready-demo
	@echo "installing the tools for tests, checks and documentation"
	@$(SYNC) --all-extras
	@touch $@

$(VENV)/.ready-demo: pyproject.toml uv.lock | $(BIN)/uv
	@echo "installing agy_nb and its dependencies into $(VENV)"
	@$(SYNC) --extra notebook
	@touch $@

$(BIN)/uv:
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "agy_nb needs Python 3.11 or newer, and found none (PYTHON=$(PYTHON))." >&2; \
		echo "Install one, or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
		exit 1; \
	fi
	@echo "creating $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

# Chromium comes from the system, and only where a test asks for it.
.PHONY: browser
browser:
	@if ! grep -rqs 'pytest.mark.browser' tests \
		|| command -v chromium chromium-browser google-chrome >/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "browser tests need Chromium on PATH; please install it" >&2; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=; \
	elif sudo -n true 2>/dev/null; then as_root=sudo; \
	else echo "browser tests need Chromium: sudo apt-get install chromium" >&2; exit 0; fi; \
	echo "installing Chromium for the browser tests"; \
	$$as_root apt-get update -qq </dev/null; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium </dev/null >/dev/null
