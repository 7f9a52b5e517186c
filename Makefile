# What a checkout can do. `make` alone lists it.
#
# Everything happens in .venv. `make demo` makes it with what the demonstration needs, and the other targets add the rest.
# It is made again whenever the pinned requirements change.
# Another Python: make test PYTHON=python3.13. On Windows, use a POSIX shell (Git Bash) or the commands of CONTRIBUTING.md.

PYTHON ?= python3
SHELL := /bin/sh
ifeq ($(OS),Windows_NT)
bin := .venv/Scripts
else
bin := .venv/bin
endif
demo_stamp := .venv/.demo
stamp := .venv/.complete
docs_stamp := .venv/.docs
bench_stamp := .venv/.bench
project := .venv/.project
pip := $(bin)/python -m pip install --quiet --disable-pip-version-check
pytest := PYTHONDONTWRITEBYTECODE= $(bin)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
args ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo bench-setup test test-all test-installs mutants strangers bench check format docs pictures pins clean
.PHONY: bridge-setup bridge-demo bridge-test bridge-test-all bridge-mutants bridge-bench bridge-check

help:
	@echo 'make demo       sign in to a local Plex and look around (the first time: half a minute of set-up)'
	@echo 'make setup      set up .venv for development'
	@echo 'make test       run the tests of a working day: a minute  (make test args="-k token -x")'
	@echo 'make test-all   run every test: published clients, browsers, documentation pages, fresh installs (half an hour)'
	@echo 'make test-installs  build the wheel, and try it with the newest and the oldest dependencies'
	@echo 'make mutants    change the source in 150 places, one after the other, and see which change make test notices'
	@echo 'make strangers  run the published clients, and write docs/tested-clients.md of what was found'
	@echo 'make bench-setup  add to .venv what draws the plots, which one test of make test-all needs'
	@echo 'make bench      measure against peers and floors, and write docs/explanation/performance.md (half an hour)'
	@echo 'make check      linters and type checkers'
	@echo 'make format     generate the sync client, the table of names and the reference, then format everything'
	@echo 'make docs       build the documentation site into build/docs, strictly (open build/docs/index.html)'
	@echo 'make pictures   take the pictures of the documentation anew (needs Chromium)'
	@echo 'make pins       pin the dependencies anew (needs uv; UPGRADE=--upgrade for newer versions)'
	@echo 'make bridge-demo      sign in to an application through the bridge (bridge/, an environment of its own)'
	@echo 'make bridge-test      run its tests of a working day'
	@echo 'make bridge-test-all  run all its tests: processes, PostgreSQL, independent applications in Chromium'
	@echo 'make bridge-mutants   take out its defences one by one, and see that a test notices each'
	@echo 'make bridge-bench   measure it beside floors'
	@echo 'make clean      remove everything that was made'
	@echo
	@echo 'Each sets up .venv the first time. Another Python: make test PYTHON=python3.13'

demo: $(demo_stamp) $(project)
	@$(bin)/ticketstub demo

# What is compiled is kept, for the run's many processes too. Files begin in the order of tests/conftest.py.
test: $(stamp) $(project)
	@$(pytest) --short $(args)

test-all: $(stamp) $(project)
	@$(pytest) $(args)

test-installs: $(stamp) $(project)
	@$(bin)/python -m pytest tests/installs $(args)

mutants: $(stamp) $(project)
	@$(bin)/python -m tests.mutants run $(args)

strangers: $(stamp) $(project)
	@$(bin)/python -m pytest tests/strangers -n auto --dist loadfile --write-strangers $(args)

bench-setup: $(bench_stamp) $(project)

bench: $(bench_stamp) $(project)
	@$(bin)/python -m benchmarks $(args)

check: $(docs_stamp) $(project)
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/python -m mypy
	$(bin)/pyright --pythonpath $(bin)/python

format: $(stamp) $(project)
	$(bin)/python scripts/make_sync.py
	$(bin)/python scripts/make_reference.py
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

docs: $(docs_stamp) $(project)
	@$(bin)/python -m sphinx -n -W --keep-going -q -j auto -d build/doctrees docs build/docs
	@echo 'The site is build/docs/index.html.'

pictures: $(docs_stamp) $(project)
	@$(bin)/python -m scripts.make_pictures $(args)

setup: $(stamp) $(project)

# The environment grows in place. A part of it is complete only with its stamp: an interrupted set-up starts over.
$(demo_stamp): requirements/server.txt requirements/build.txt requirements/python.sh
	@sh requirements/python.sh "$(PYTHON)"
	@echo 'Setting up .venv with what the demonstration needs (once; about half a minute) ...'
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv
	@echo '  installing the dependencies of the local Plex ...'
	@$(pip) --require-hashes -r requirements/server.txt -r requirements/build.txt
	@echo '  installing Ticketstub itself ...'
	@$(pip) --no-deps --no-build-isolation --editable .
	@touch $(demo_stamp) $(project)

# With other pins the environment is made again from the beginning, so that nothing of the earlier ones stays in it.
$(stamp): requirements/dev.txt requirements/server.txt requirements/python.sh
	@[ ! -f $(stamp) ] || rm -rf .venv
	@$(MAKE) --no-print-directory $(demo_stamp)
	@echo 'Adding to .venv what the tests and checks need (once; about a minute) ...'
	@$(pip) --require-hashes -r requirements/dev.txt
	@touch $(stamp)

$(docs_stamp): $(stamp) requirements/docs.txt
	@echo 'Adding to .venv what the documentation is built with (once; about ten seconds) ...'
	@$(pip) --require-hashes -r requirements/docs.txt
	@touch $(docs_stamp)

$(bench_stamp): $(stamp) requirements/bench.txt
	@echo 'Adding to .venv what draws the plots (once; about ten seconds) ...'
	@$(pip) --require-hashes -r requirements/bench.txt
	@touch $(bench_stamp)

$(project): pyproject.toml src/ticketstub/__init__.py
	@$(pip) --no-deps --no-build-isolation --editable .
	@touch $(project)

# The bridge is a distribution of its own, with an environment of its own: bridge/.venv.
bridge_python := bridge/$(bin)/python
bridge_stamp := bridge/.venv/.complete
bridge_project := bridge/.venv/.project
bridge_pytest := cd bridge && $(bin)/python -m pytest -n auto

bridge-setup: $(bridge_stamp) $(bridge_project)

bridge-demo: $(bridge_stamp) $(bridge_project)
	@$(bridge_python) -m ticketstub bridge demo

bridge-test: $(bridge_stamp) $(bridge_project)
	@$(bridge_pytest) --short $(args)

bridge-test-all: $(bridge_stamp) $(bridge_project)
	@$(bridge_pytest) $(args)

bridge-mutants: $(bridge_stamp) $(bridge_project)
	@cd bridge && $(bin)/python tests/mutants.py

bridge-bench: $(bridge_stamp) $(bridge_project)
	@$(bridge_python) -m bridge.benchmarks $(args)

bridge-check: $(bridge_stamp) $(bridge_project)
	cd bridge && $(bin)/python -m mypy
	cd bridge && $(bin)/pyright --pythonpath $(bin)/python

$(bridge_stamp): requirements/bridge.txt requirements/build.txt requirements/python.sh
	@sh requirements/python.sh "$(PYTHON)"
	@echo 'Setting up bridge/.venv (once; about a minute) ...'
	@rm -rf bridge/.venv
	@"$(PYTHON)" -m venv bridge/.venv
	@$(bridge_python) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bridge.txt -r requirements/build.txt
	@touch $(bridge_stamp)

$(bridge_project): $(bridge_stamp) bridge/pyproject.toml pyproject.toml
	@$(bridge_python) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . --editable bridge
	@touch $(bridge_project)

pins:
	@sh requirements/pin.sh requirements/dev.txt $(UPGRADE) --all-extras --group dev pyproject.toml
	@sh requirements/pin.sh requirements/server.txt --extra server --constraint requirements/dev.txt pyproject.toml
	@sh requirements/pin.sh requirements/docs.txt --group docs --constraint requirements/dev.txt
	@sh requirements/pin.sh requirements/bench.txt --group bench --constraint requirements/dev.txt --constraint requirements/docs.txt
	@echo hatchling | sh requirements/pin.sh requirements/build.txt --constraint requirements/dev.txt -
	@printf 'ticketstub[server] @ file://%s\nticketstub-bridge[demo] @ file://%s/bridge\n' "$(CURDIR)" "$(CURDIR)" | \
	  sh requirements/pin.sh requirements/bridge.txt $(UPGRADE) --constraint requirements/dev.txt \
	  --no-emit-package ticketstub --no-emit-package ticketstub-bridge --group bridge/pyproject.toml:dev -

clean:
	rm -rf .venv bridge/.venv .strangers .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
