# make run: set up and start with the sample. make test: all checks.
# Also make test-thorough, make lint, make pictures, make test-scale, make clean.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Kept bytecode: hundreds of processes are started, and each would compile what it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-thorough test-scale lint pictures clean qt-libraries

run: $(VENV)/.installed qt-libraries
	$(BIN)/mdlstm-labeler --sample

# Also for what it depends on: without a window, no library of a display is needed.
test: export QT_QPA_PLATFORM := offscreen
# Two tests at a time take both cores; threads beside them would only wait for one another.
test: export OMP_NUM_THREADS := 1
test: lint qt-libraries
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --instafail -q -m 'not thorough'

# What make test leaves out: more cases of the GPU kernels, all held-out images.
test-thorough: export OMP_NUM_THREADS := 1
test-thorough: export QT_QPA_PLATFORM := offscreen
test-thorough: $(VENV)/.installed-test qt-libraries
	$(BIN)/python -m pytest -n 2 -m thorough

# Bulk runs with Ray too, some 600 MB that make test does without.
test-scale: export QT_QPA_PLATFORM := offscreen
test-scale: $(VENV)/.installed-test
	$(BIN)/pip install --disable-pip-version-check --editable '.[scale]'
	$(BIN)/python -m pytest tests/mdlstm_core/bulk tests/app/cli/test_bulk.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The pictures in docs/, drawn offscreen.
pictures: export QT_QPA_PLATFORM := offscreen
pictures: $(VENV)/.installed qt-libraries
	rm -rf out/pictures
	$(BIN)/mdlstm-labeler --sample --out out/pictures
	cd out/pictures && cp window.png window-dark.png changes.png timeline.png gates*.png ../../docs/

clean:
	rm -rf $(VENV) build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

qt-libraries:
	@PYTHON=$(PYTHON) bash scripts/ensure_qt_libraries.sh

# The stamps save the second call from asking pip again.
$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	@echo "Installing mdlstm-labeler into $(VENV); the first time takes some minutes."
	$(BIN)/pip install --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/pip
	@echo "Installing mdlstm-labeler and its checks into $(VENV); the first time takes some minutes."
	@# Python compiles what is imported; pip would compile all of it, for most of a minute.
	$(BIN)/pip install --disable-pip-version-check --no-compile --editable '.[test]'
	@touch $(VENV)/.installed $@

# pip comes last: a virtual environment with it is whole.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "mdlstm-labeler needs Python 3.11 or newer, and $(PYTHON) is not:" \
	        "install one and name it, as in make $(MAKECMDGOALS) PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments:" \
	        "install its package for that (Debian, Ubuntu: sudo apt-get install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
