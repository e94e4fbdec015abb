# CROP Explorer. `make demo` is all that you need to start; `make help` lists the rest.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Byte-compiling all of torch and transformers would take as long as the rest; Python compiles what it imports.
PIP     = $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt
# Stamps: a second start installs nothing; a changed requirements file is newer than its stamp and installs again.
APP    := $(VENV)/.app-installed
DEV    := $(VENV)/.dev-installed
NPM    := node_modules/.dev-installed
# One process per core; the tests of a file run in one process and share their fixtures.
SIDE_BY_SIDE = -n logical --dist loadfile

# Packages are installed without bytecode (twice as fast); the first start writes it for later ones.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint bench fuzz audit train clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v[:2] <= (3, 12) else "CROP Explorer needs Python 3.10 to 3.12, and $(PYTHON) is %d.%d: run make PYTHON=python3.12 (or 3.10, 3.11)." % v[:2])'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python could not make a virtual environment; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }

$(APP): requirements.txt constraints.txt | $(BIN)/python
	@echo "Installing what the app needs into $(VENV) (once)..."
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements.txt requirements-dev.txt constraints.txt | $(APP)
	@echo "Installing what the tests need into $(VENV) (once)..."
	@$(PIP) -r requirements-dev.txt
	@$(PIP) --no-deps rapidocr-onnxruntime
	@touch $@

# Checks of the page's JavaScript; the app itself needs no Node.
$(NPM): package.json package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 || { \
	  echo "The JavaScript checks need Node 18 or later and npm: on Debian and Ubuntu install the packages nodejs and npm." >&2; exit 1; }
	@echo "Installing the JavaScript linter into node_modules (once)..."
	@npm ci --silent --no-audit --no-fund
	@touch $@

setup: $(APP)  ## make .venv and install the app's packages

demo: $(APP)  ## start the app on port 7860 or the first free one after it
	@$(BIN)/python app.py

# Gradio writes stubs beside our components when the app starts; mypy would read those of an earlier version.
lint: $(DEV) $(NPM)  ## ruff, mypy and import-linter, and Biome for the JavaScript
	$(BIN)/ruff check .
	@find ui -name '*.pyi' -delete
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run --silent lint

# Browser tests run separately: Playwright keeps an event loop running, and the apps that they start need the cores.
test: lint  ## lint and run all tests, browser tests included; some of them with ARGS="tests/..."
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	npm test --silent
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not browser" || failed=yes; \
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --maxprocesses 4 tests/browser && test -z "$$failed"
endif

test-fast: $(DEV)  ## run the tests without a browser, training or Ray
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not browser and not training and not ray" $(ARGS)

bench: $(DEV)  ## measure the bundled models again and fill the tables of README, docs and model cards
	$(BIN)/python -m benchmarks.bundled $(ARGS)
	$(BIN)/python -m benchmarks.publish

fuzz: $(DEV)  ## run 120 000 malformed inputs; reproduce a run with ARGS="--seed N"
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

# pip-audit exits with 1 without a network as well as for a vulnerability; an index without numpy counts as unreachable.
audit: $(DEV)  ## look for known vulnerabilities in the pinned packages
	@output=$$($(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off -r constraints.txt 2>&1); status=$$?; \
	case "$$output" in \
	  *"could not be audited: numpy ("*) ;; \
	  *"nown vulnerabilit"*) echo "$$output"; exit $$status ;; \
	esac; \
	echo "The packages were not audited: no index of known vulnerabilities is reachable here; run make audit where one is."

train: $(APP)  ## train the bundled models again (resumable; hours on a CPU)
	$(BIN)/python -m crop_core.train.bundled $(ARGS)

clean:  ## remove .venv, node_modules and caches
	rm -rf $(VENV) node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
