# `make test` and `make demo` set everything up themselves; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
# Remembers that .venv matches these files, so that set-up is skipped the next time.
READY := $(VENV)/.ready
BENCHMARKS := $(wildcard benchmarks/*.py)
# The tests are run by so many processes; one of them opens all the windows.
PROCESSES ?= 2
TOGETHER = -n $(PROCESSES) --dist loadgroup

export QT_API ?= pyqt6

.PHONY: help setup system-packages test test-all test-matrix test-wheel dist
.PHONY: lint format demo docs benchmarks clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        the main job on a synthetic scroll, then the same in napari"
	@echo "make test        lint, types, imports and the quick tests"
	@echo "make test-all    the same with the slow tests"
	@echo "make test-matrix the quick tests from a wheel, on every Python and Qt binding found"
	@echo "make test-wheel  a wheel installed as a user would, and the demo run with it"
	@echo "make lint        ruff, mypy and import-linter only"
	@echo "make format      let ruff mend and format the code"
	@echo "make docs        make the pictures and tables of the documentation again"
	@echo "make benchmarks  run every benchmark and record its figures (an hour)"
	@echo "make dist        what a release publishes, and its notes: make dist VERSION=v0.2.0"
	@echo "make clean       remove .venv, caches and build outputs"

setup: $(READY)

$(READY): pyproject.toml constraints.txt tools/set_up.sh
	@PYTHON="$(PYTHON)" tools/set_up.sh
	@touch $@

# The system's part of the set-up alone, which wants root; `make setup` does it where it may.
system-packages:
	@PYTHON="$(PYTHON)" tools/set_up.sh --system-packages

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.11
	$(BIN)/lint-imports

test: lint
	tools/with_display.sh $(BIN)/python -m pytest $(TOGETHER)

test-all: lint
	tools/with_display.sh $(BIN)/python -m pytest $(TOGETHER) -m "slow or not slow"

# Both make virtual environments of their own in build/wheels. MATRIX narrows the matrix:
# make test-matrix MATRIX="--python 3.12 --binding pyside6"
test-matrix:
	$(PYTHON) tools/test_matrix.py $(MATRIX)

test-wheel:
	$(PYTHON) tools/test_wheel.py

dist:
	$(PYTHON) tools/release.py "$(VERSION)"

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# First the whole job in the terminal, then the window: for a person where there is a display,
# else by itself under a virtual one, leaving a picture of every stage.
demo: $(READY)
	$(BIN)/surfseg demo
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname -s)" != Linux ]; then \
		$(BIN)/python -m napari_surfseg.gui.demo; \
	else \
		tools/with_display.sh $(BIN)/python -m napari_surfseg.gui.demo \
			--screenshots demo_run/screenshots; \
	fi

docs: $(READY)
	$(BIN)/python docs/make_settings.py
	tools/with_display.sh $(BIN)/python docs/make_screenshots.py

benchmarks: $(READY)
	@set -e; for script in $(BENCHMARKS); do \
		echo "== $$script"; tools/with_display.sh $(BIN)/python $$script --record; done

clean:
	rm -rf $(VENV) build dist demo_run .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
