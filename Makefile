# Needs Python 3.11 with pip, and make: the rest comes into .venv/.
#
#   make demo        localize the photos that come with scikit-image
#   make quick       the tests to run while you work: two minutes on two cores
#   make test        all tests and doctests
#   make sweep       tens of thousands of broken files, random networks, threads, kills at any moment, and each
#                    network where the other tests take a few; two hours
#   make sweep SOAK=1    also 100,000 localizations on each of three runtimes; some minutes more
#   make lint        style: ruff
#   make types       types: mypy
#   make wheel-test  build the wheel, install it elsewhere, try it there
#   make docs        the documentation as a web site, site/index.html
#   make coverage    all tests again, and which branches of the code they reach
#   make benchmarks DATA=FOLDER    measure all figures of docs/benchmarks.md again; an hour and a quarter
#   make figures DATA=FOLDER    whether README and docs state what evaluation prints now; an hour
#   make clean       remove everything these commands made

PYTHON ?= python3.11
# Two processes, each with whole test files; their fixtures are expensive.
PARALLEL ?= --numprocesses=2 --dist=loadfile --durations=10
VENV := .venv
BIN := $(VENV)/bin

# Without these two, TensorFlow greets every process.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export GLOG_minloglevel ?= 2
# Tests start hundreds of processes; compiled modules are kept, or each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo quick test sweep lint types wheel-test docs coverage benchmarks figures clean

demo: $(VENV)/.plain
	$(BIN)/keras-cam demo

quick: $(VENV)/.all
	$(BIN)/pytest $(PARALLEL) -m 'not slow and not sweep and not soak' tests

test: $(VENV)/.all
	$(BIN)/pytest $(PARALLEL)

sweep: $(VENV)/.all
	$(BIN)/pytest -m 'sweep$(if $(SOAK),, and not soak)'

coverage: $(VENV)/.all
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term:skip-covered

benchmarks: $(VENV)/.all
	$(BIN)/python benchmarks/report.py $(if $(DATA),--data $(DATA))

figures: $(VENV)/.all
	$(BIN)/python benchmarks/stated_figures.py --data $(DATA)

lint: $(VENV)/.all
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.all
	$(BIN)/mypy

wheel-test: $(VENV)/.all
	rm -rf build
	$(BIN)/python .ci/wheel_test.py

# The reference is made of the package as users get it, with all its parts in one folder.
docs: $(VENV)/.all
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/site-packages .
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Installed again only when what is to be installed may have changed. A stale build/ would bring deleted
# modules back. Modules are compiled when they are imported: compiling all of TensorFlow takes longer than the demo.
$(VENV)/.plain: pyproject.toml setup.py | $(BIN)/python
	rm -rf build
	$(BIN)/python -m pip install --no-compile --editable .
	touch $@

$(VENV)/.all: pyproject.toml setup.py | $(BIN)/python
	rm -rf build
	$(BIN)/python -m pip install --no-compile --editable ".[all]"
	touch $@ $(VENV)/.plain

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist site .coverage *.egg-info keras-cam-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
