# Needs Python 3.11 with pip, and make: the rest comes into .venv/.
#
#   make demo        localize the photos that come with scikit-image
#   make test        all tests and doctests
#   make lint        style: ruff
#   make types       types: mypy
#   make wheel-test  build the wheel, install it elsewhere, try it there
#   make clean       remove everything these commands made

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

# Without these two, TensorFlow greets every process.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export GLOG_minloglevel ?= 2

.PHONY: demo test lint types wheel-test clean

demo: $(VENV)/.demo
	$(BIN)/keras-cam demo

test: $(VENV)/.all
	$(BIN)/pytest

lint: $(VENV)/.all
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.all
	$(BIN)/mypy

wheel-test: $(VENV)/.all
	rm -rf build
	$(BIN)/python .ci/wheel_test.py

# Installed again only when what is to be installed may have changed. A stale build/ would bring deleted
# modules back.
$(VENV)/.demo: pyproject.toml setup.py | $(BIN)/python
	rm -rf build
	$(BIN)/python -m pip install --editable ".[demo]"
	touch $@

$(VENV)/.all: pyproject.toml setup.py | $(BIN)/python
	rm -rf build
	$(BIN)/python -m pip install --editable ".[all]"
	touch $@ $(VENV)/.demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist *.egg-info keras-cam-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
