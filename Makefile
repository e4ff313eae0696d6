# make demo: the main job on the shipped pictures. make test: all tests, the browser's (make e2e) last. make app: the studio. Each creates .venv first.
PYTHON ?= python3
DIAL ?= balanced
BIN := .venv/bin
WORKERS ?= 2

.PHONY: demo test slow e2e app check format clean

.venv/ready: pyproject.toml constraints/cpu.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -c constraints/cpu.txt torch==2.13.0
	$(BIN)/pip install --disable-pip-version-check -q -c constraints/cpu.txt -e ".[dev]"
	@touch $@

demo: .venv/ready
	$(BIN)/brandprint demo --dial $(DIAL)

test: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) -m "not gpu and not download and not e2e"
	$(MAKE) e2e

slow: .venv/ready  # the README's commands as they are written, and training in two processes
	$(BIN)/python -m pytest -m slow

e2e: .venv/ready  # the page in a real browser: needs Chromium (CHROMIUM names another). What failed is tried once more: a busy machine's browser can be too late
	$(BIN)/python -m pytest -m e2e || $(BIN)/python -m pytest -m e2e --last-failed --last-failed-no-failures none

app: .venv/ready
	$(BIN)/brandprint ui

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS) -m "not gpu and not download and not slow and not e2e"

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv demo runs
