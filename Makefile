# The two commands are `make report` and `make test`; CI and the workflows call these same targets.
# On a machine that brings its own torch (a GPU machine without network): make report PYTHON=/path/to/python

FULL ?=
BASE ?= origin/main
HEAD ?= HEAD
VENV ?= .venv
ifdef PYTHON
READY :=
else
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
endif
FLAG := $(if $(FULL),--full,)

.PHONY: report test lint nightly gate site setup

report: $(READY)  ## measure this machine, build site/index.html, print the ranking
	$(PYTHON) -m reports sweep $(FLAG)
	$(PYTHON) -m reports site

test: $(READY) lint  ## everything that proves the suite right
	sh tests/run.sh $(PYTHON) $(if $(FULL),full,)

lint: $(READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports
	$(dir $(PYTHON))actionlint

nightly: $(READY)  ## measure new commits, look for changes, rebuild the site; exit 1 on a regression
	$(PYTHON) -m reports nightly

gate: $(READY)  ## make gate BASE=rev [HEAD=rev]: is HEAD slower or less exact than BASE?
	$(PYTHON) -m reports gate --base $(BASE) --head $(HEAD)

site: $(READY)  ## build site/ from results/ without measuring
	$(PYTHON) -m reports site

setup: $(READY)

$(VENV)/.ready: pyproject.toml constraints.txt
	sh tools/setup.sh $(VENV)
	touch $@
