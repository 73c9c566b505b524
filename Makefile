# The two commands are `make report` and `make test`; CI and the workflows call these same targets.
# On a machine that brings its own torch (a GPU machine without network): make report PYTHON=/path/to/python

FULL ?=
BASE ?= origin/main
HEAD ?= HEAD
BASE_WITH ?=
HEAD_WITH ?=
REPORT ?=
VENV ?= .venv
ifdef PYTHON
READY :=
READY_DEV :=
else
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
endif
BENCH ?= .asv/archive-bench
GRID ?= $(if $(FULL),full,quick)

.PHONY: report test lint nightly gate comment approve publish preview issues site setup archive-bench

report: $(READY)  ## measure this machine, build site/index.html, print the ranking
	$(PYTHON) -m reports sweep --grid $(GRID)
	$(PYTHON) -m reports site

test: $(READY_DEV) lint  ## everything that proves the suite right
	sh tests/run.sh $(PYTHON) $(if $(FULL),full,)

lint: $(READY_DEV)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports
	$(dir $(PYTHON))actionlint
	$(dir $(PYTHON))zizmor --offline --quiet --no-progress .github

nightly: $(READY)  ## bring results, measure new commits, look for changes, send, build the site; exit 1 on a regression
	$(PYTHON) -m reports nightly

gate: $(READY)  ## make gate BASE=rev [HEAD=rev] [REPORT=folder] [BASE_WITH="numpy==2.1.0 NAME=VALUE" HEAD_WITH=...]: is HEAD slower or less exact than where it left BASE?
	$(PYTHON) -m reports gate --base "$$(git merge-base $(BASE) $(HEAD) || echo $(BASE))" --head $(HEAD) \
		--base-with "$(BASE_WITH)" --head-with "$(HEAD_WITH)" \
		$(if $(REPORT),--json $(REPORT)/gate.json --markdown $(REPORT)/gate.md --out $(REPORT))

comment: $(READY)  ## make comment REPORT=folder: the report of a finished run as a comment on its pull request
	$(PYTHON) -m reports forge comment $(REPORT)

approve: $(READY)  ## HEAD=commit make approve: may this commit run on a machine of our own?
	$(PYTHON) -m reports forge approve "$$HEAD"

publish: $(READY)  ## bring the results of all machines, build site/ with asv's own pages
	$(PYTHON) -m reports record pull
	$(PYTHON) -m reports site --asv

preview: $(READY)  ## the site with what results there are, also where the results branch cannot be reached
	-$(PYTHON) -m reports record pull
	$(PYTHON) -m reports site

issues: $(READY)  ## open, update and close the issues of what the nights found
	$(PYTHON) -m reports forge issues

site: $(READY)  ## build site/ from results/ without measuring
	$(PYTHON) -m reports site

archive-bench: $(READY)  ## what an archive of 20 million rows costs: 10 GB of disk; ROWS="--keep 12", samples of a year alone, for 4 GB
	$(PYTHON) tools/archive_bench.py generate $(BENCH) $(ROWS)
	$(PYTHON) tools/archive_bench.py measure $(BENCH)
	rm -r $(BENCH)

setup: $(READY_DEV)  ## all that a contributor needs

$(VENV)/.ready: pyproject.toml constraints.txt
	sh tools/setup.sh $(VENV) report,data
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	sh tools/setup.sh $(VENV) report,data,dev
	touch $@
