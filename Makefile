# Every target works alone on a machine that has only make and Python 3.11 or newer:
# it builds .venv first. Use another interpreter with `make PYTHON=python3.13 ...`.
PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FLOORS := .venv-floors
BENCH := .venv-bench

.DEFAULT_GOAL := help
.PHONY: help demo test test-floors simulation coverage agreement fuzz lint format docs bench clean

help:
	@echo "make demo        evaluate every method on real or generated data, write demo-report/"
	@echo "make test        unit tests and doctests"
	@echo "make test-floors the same with the oldest versions that pyproject.toml allows"
	@echo "make simulation  long Monte Carlo checks of the statistical guarantees"
	@echo "make fuzz        200,000 cases of hostile input, write docs/generated/fuzz.md"
	@echo "make coverage    run the coverage laboratory, write docs/generated/coverage.*"
	@echo "make agreement   compare numbers with other software, write docs/generated/agreement.md"
	@echo "make lint        formatting, lint rules and strict types"
	@echo "make format      rewrite the sources in the house format"
	@echo "make docs        strict build of the documentation site"
	@echo "make bench       time evalstats and its peers, write docs/benchmarks.md"
	@echo "make clean       remove what the targets above have written"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "evalstats needs Python 3.11 or newer, but '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo missing); try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing evalstats and its tools into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(STAMP)
	@$(BIN)/evalstats demo --out demo-report

# The workers fill the processors; threads of the linear algebra would only wait for each other.
test: $(STAMP)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --quiet -n $(WORKERS)

test-floors: $(STAMP)
	@$(PYTHON) -m venv --clear $(FLOORS)
	@$(BIN)/python -c 'import tomllib; \
	  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*(need.replace(">=", "==") for need in project["dependencies"]), sep="\n")' \
	  > $(FLOORS)/floors.txt
	@$(FLOORS)/bin/python -m pip install -qq --disable-pip-version-check \
	  --constraint $(FLOORS)/floors.txt --editable ".[all,test]"
	@$(FLOORS)/bin/python -m pytest --quiet -n $(WORKERS)

simulation: $(STAMP)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --quiet -n $(WORKERS) -m simulation

# One process: cases are small, and threads would only wait for each other.
fuzz: $(STAMP)
	@OPENBLAS_NUM_THREADS=1 nice $(BIN)/python -m tests.fuzz --cases 200000 --seed 2026 --record

# Continues where an interrupted run stopped; `--fresh` starts anew.
coverage: $(STAMP)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage --workers $(WORKERS)

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STAMP)
	@$(BIN)/sphinx-build -W --keep-going -n -q -b html docs docs/_build/html
	@echo "Documentation: docs/_build/html/index.html"

# The peers bring PyTorch and more, which neither users nor tests of evalstats need.
$(BENCH)/.installed: pyproject.toml
	@$(PYTHON) -m venv $(BENCH)
	@echo "Installing evalstats and its peers into $(BENCH) (several minutes the first time)"
	@$(BENCH)/bin/python -m pip install -qq --disable-pip-version-check --editable ".[all,bench]"
	@touch $@

bench: $(BENCH)/.installed
	@$(BENCH)/bin/python -m benchmarks

agreement: $(BENCH)/.installed
	@$(BENCH)/bin/python -m benchmarks.agreement

clean:
	rm -rf $(FLOORS) $(BENCH) demo-report docs/_build docs/api/generated docs/generated/figures dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find evalstats tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
