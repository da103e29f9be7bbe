# Two commands on a fresh machine:  make book   and   make test   (Python >= 3.11, make and a package index are enough)
PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
PY     := $(VENV)/bin/python
TIER   := $(or $(BREGTUTORIAL_TIER),quick)
ARGS   ?=

files   = $(sort $(shell find $(1) -type f -not -path '*/.*' -not -path '*/__pycache__/*' 2>/dev/null))
PACKAGE := $(call files,bregtutorial results)
BOOK    := $(call files,book) _config.yml _toc.yml
CHAPTER := $(filter %.ipynb,$(BOOK))
TOOLS   := $(call files,tools)
OTHER   := $(call files,tests benchmarks .ci .github) $(wildcard *.md) Makefile LICENSE CITATION.cff pyproject.toml setup.py \
           environment.yml constraints.txt

export PYTHONHASHSEED = 0
export OMP_NUM_THREADS ?= 1
export JUPYTER_PREFER_ENV_PATH = 1
export JUPYTER_PLATFORM_DIRS = 1

.PHONY: help book test check lint unit notebooks-test site notebooks colab colab-test audit course course-check print bench mutants coverage sbom audit-deps clean distclean FORCE
.DELETE_ON_ERROR:

help:
	@echo "make book       run every chapter, build the site, print where it is"
	@echo "make test       style, types, unit tests, doctests, every chapter, the built site (nothing to do if nothing changed)"
	@echo "make check      the same, always"
	@echo "make lint | unit | notebooks-test | site      one part of it;  ARGS='-k prox -x' goes to pytest"
	@echo "make test-integrations   with Lightning, accelerate, skorch, timm and bregman-learning, which it installs"
	@echo "make notebooks  put the first cell and fresh outputs into the chapters, for committing"
	@echo "make course     write notebooks to hand out, solutions, hidden tests and slides (course-check runs them)"
	@echo "make colab      write the chapters in plain Markdown, as Colab and JupyterLab show them"
	@echo "make colab-test each of these alone, from an empty folder, with the wheel and what Colab has"
	@echo "make print      the whole book as one page and as a PDF (needs a Chromium)"
	@echo "make audit      the built site under axe-core, the W3C's validator and Lighthouse; writes _build/audit/report.md"
	@echo "make bench      time everything that a page gives times of, on a machine that does nothing else"
	@echo "make mutants    change the optimizers and regularizers line by line: does a test notice?  ARGS='--sample 40'"
	@echo "make coverage   lines and branches of the package that the tests reach;  make sbom | audit-deps  what it is made of"
	@echo "make clean      remove what was built;  make distclean removes .venv too"
	@echo "options: PYTHON=python3.12 JOBS=4 BREGTUTORIAL_TIER=quick|colab|full"

# --- environment ---------------------------------------------------------------------------------------------------
$(VENV)/.stamp: constraints.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "bregtutorial needs Python >= 3.11, but $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make a virtual environment (on Debian or Ubuntu: apt-get install python3-venv)"; exit 1; }
	@echo "installing into $(VENV) (once; some minutes, about 6 GB with the CUDA build of torch)"
	@$(PY) -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[book,test,dev]'
	@touch $@

# make does not see that a file went away, nor that a variable changed: these lists are rewritten only if they differ.
INPUTS = tier=$(TIER) data=$(BREGTUTORIAL_DATA) $(PACKAGE) $(BOOK) $(TOOLS)
_build/.inputs: FORCE
	@mkdir -p _build
	@printf '%s\n' $(INPUTS) | cmp -s - $@ || printf '%s\n' $(INPUTS) > $@

_build/.inputs-test: FORCE
	@mkdir -p _build
	@printf '%s\n' browser=$(BREGTUTORIAL_REQUIRE_BROWSER) $(OTHER) | cmp -s - $@ \
	  || printf '%s\n' browser=$(BREGTUTORIAL_REQUIRE_BROWSER) $(OTHER) > $@

# --- book ----------------------------------------------------------------------------------------------------------
# The cache of executed chapters is keyed on their code alone: a changed package or environment must empty it.
_build/.stamp-env: $(VENV)/.stamp $(PACKAGE) tools/execute.py
	@mkdir -p _build && rm -rf _build/.jupyter_cache && touch $@

_build/.stamp-execute: _build/.stamp-env _build/.inputs $(CHAPTER)
	@$(PY) tools/execute.py --jobs $(JOBS) $(CHAPTER)
	@touch $@

# Always a whole build: an incremental one does not repeat the warnings of pages it skips, so -W would pass wrongly.
_build/.stamp-book: _build/.stamp-execute $(BOOK) $(TOOLS) CITATION.cff
	@rm -rf _build/html
	@$(VENV)/bin/jupyter-book build . -W -n --keep-going --all --quiet
	@touch $@

book: _build/.stamp-book
	@echo "the book: $(CURDIR)/_build/html/index.html"

colab: $(VENV)/.stamp
	@$(PY) tools/colab.py

# ARGS='linbreg momentum' runs those alone
colab-test: $(VENV)/.stamp
	@$(PY) tools/colab_runtime.py $(ARGS)

# Notebooks and slides are made of text: who has no .venv yet gets a small environment, in a minute, without torch.
KIT := $(if $(wildcard $(VENV)/.stamp),$(VENV),_build/venv-course)
_build/venv-course/.stamp: constraints.txt
	@$(PYTHON) -m venv _build/venv-course
	@_build/venv-course/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  nbformat pyyaml pybtex markdown-it-py mdit-py-plugins
	@touch $@

# ARGS names chapters and a folder:  make course ARGS='--to ~/week2 linbreg'
course: $(KIT)/.stamp
	@PYTHONPATH=tools $(KIT)/bin/python -m course $(ARGS)

course-check: $(VENV)/.stamp
	@PYTHONPATH=tools $(PY) -m course.check $(ARGS)

print: _build/.stamp-book
	@$(PY) tools/printed.py

# --- tests ---------------------------------------------------------------------------------------------------------
# with tests/offline on the path every Python that is started, a chapter's kernel too, reaches this computer only
PYTEST = PYTHONPATH=$(CURDIR)/tests/offline$(MORE) $(PY) -m pytest --numprocesses=$(JOBS) --dist=loadfile --quiet

lint: $(VENV)/.stamp
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --quiet --check .
	$(VENV)/bin/mypy

unit: $(VENV)/.stamp
	$(PYTEST) tests --ignore-glob="tests/test_site*" $(ARGS)
	$(PYTEST) --doctest-modules bregtutorial $(ARGS)

# what passes here need not run again for the book, if that is built at the same tier
notebooks-test: export BREGTUTORIAL_TIER = quick
notebooks-test: MORE = :$(CURDIR)/tools
notebooks-test: $(VENV)/.stamp _build/.stamp-env
	$(PYTEST) $(if $(filter quick,$(TIER)),-p keep_outputs) --nbval-lax --nbval-current-env book $(ARGS)

site: _build/.stamp-book
	$(PYTEST) --dist=load tests/test_site*.py $(ARGS)

_build/.stamp-integrations: $(VENV)/.stamp
	@mkdir -p _build
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[integrations]'
	@touch $@

test-integrations: _build/.stamp-integrations
	$(PYTEST) tests/integrations tests/peers $(ARGS)

_build/.stamp-test: $(PACKAGE) $(BOOK) $(TOOLS) $(OTHER) $(VENV)/.stamp _build/.inputs _build/.inputs-test
	@$(MAKE) --no-print-directory check

test: _build/.stamp-test
	@echo "make test: all passed for exactly these files (again in any case: make check)"

check:
	@rm -f _build/.stamp-test
	@for part in lint unit notebooks-test site; do \
	  echo "== $$part"; $(MAKE) --no-print-directory $$part || exit 1; done
	@touch _build/.stamp-test

# axe-core, the W3C's validator, links, weight, Lighthouse: needs npm, a Java and a Chromium; ARGS='--skip lighthouse linbreg'
audit: _build/.stamp-book
	@PYTHONPATH=tools $(PY) -m audit $(ARGS)

# --- upkeep --------------------------------------------------------------------------------------------------------
notebooks: $(VENV)/.stamp
	$(PY) tools/notebooks.py --write --jobs $(JOBS) $(ARGS)

# Alone on the machine, one after the other; each writes results/benchmarks/<name>.json and the tables of the README.
bench: $(VENV)/.stamp
	@for script in $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))); do \
	  echo "== $$script"; $(PY) $$script $(ARGS) || exit 1; done

mutants: $(VENV)/.stamp
	$(PY) tools/mutate.py $(ARGS)

# The processes that tests start are counted, too, also those that end at once.
coverage: $(VENV)/.stamp
	@rm -rf _build/coverage && mkdir -p _build/coverage
	-PYTHONPATH=$(CURDIR)/tests/offline $(PY) -m coverage run -m pytest --numprocesses=$(JOBS) --dist=loadfile --quiet tests --ignore-glob="tests/test_site*" $(ARGS)
	@$(PY) -m coverage combine --quiet && $(PY) -m coverage json --quiet -o _build/coverage/coverage.json
	@$(PY) -m coverage report --skip-covered --show-missing --sort=cover

sbom: $(VENV)/.stamp
	@$(PY) tools/sbom.py

audit-deps: $(VENV)/.stamp
	@test -x _build/audit/bin/pip-audit || { $(PYTHON) -m venv _build/audit && _build/audit/bin/python -m pip install --quiet pip-audit; }
	@$(PY) tools/audit_deps.py _build/audit/bin/pip-audit

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache .hypothesis .coverage*

distclean: clean
	rm -rf $(VENV) *.egg-info
