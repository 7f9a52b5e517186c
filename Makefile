# What a checkout can do. `make` alone lists it.
#
# Everything happens in .venv, which is made once and again whenever the pinned requirements or pyproject.toml change.
# Another Python: make test PYTHON=python3.13. On Windows, use a POSIX shell (Git Bash) or the commands of CONTRIBUTING.md.

PYTHON ?= python3
SHELL := /bin/sh
ifeq ($(OS),Windows_NT)
bin := .venv/Scripts
else
bin := .venv/bin
endif
stamp := .venv/.complete
args ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test strangers bench check format pins clean

help:
	@echo 'make demo     sign in to a local Plex and look around, in a minute'
	@echo 'make test     run all tests         (make test args="-k token -x")'
	@echo 'make strangers  run the published clients, and write docs/strangers.md of what was found'
	@echo 'make bench    measure against peers and floors'
	@echo 'make check    linters and type checkers'
	@echo 'make format   let the formatter have its way'
	@echo 'make pins     pin the dependencies anew (needs uv; UPGRADE=--upgrade for newer versions)'
	@echo 'make clean    remove everything that was made'
	@echo
	@echo 'Each sets up .venv the first time. Another Python: make test PYTHON=python3.13'

demo: $(stamp)
	@$(bin)/ticketstub demo

# What is compiled is kept, for the run's hundreds of processes too. Files begin in the order of tests/conftest.py.
test: $(stamp)
	@PYTHONDONTWRITEBYTECODE= $(bin)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(args)

strangers: $(stamp)
	@$(bin)/python -m pytest tests/strangers -n auto --dist loadfile --write-strangers $(args)

bench: $(stamp)
	@$(bin)/python -m benchmarks $(args)

check: $(stamp)
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/python -m mypy
	$(bin)/pyright --pythonpath $(bin)/python

format: $(stamp)
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

setup: $(stamp)

# The environment grows in place and is complete only with the stamp: an interrupted set-up starts over.
$(stamp): requirements/dev.txt pyproject.toml requirements/python.sh
	@sh requirements/python.sh "$(PYTHON)"
	@echo 'Setting up .venv (once; a minute or so) ...'
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv
	@$(bin)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(stamp)

pins:
	@sh requirements/pin.sh requirements/dev.txt $(UPGRADE) --all-extras --group dev pyproject.toml
	@sh requirements/pin.sh requirements/server.txt --extra server --constraint requirements/dev.txt pyproject.toml
	@echo hatchling | sh requirements/pin.sh requirements/build.txt --constraint requirements/dev.txt -

clean:
	rm -rf .venv .strangers .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
