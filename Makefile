# `make app` and `make test` need nothing but Python 3.11 to 3.13; `make help` lists the rest.

PYTHONS := python3.13 python3.12 python3.11 python3
IN_RANGE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
HAS_VENV := import ensurepip, venv
ON_DEBIAN := On Debian or Ubuntu: sudo apt-get install

# The first interpreter that runs, is in range and can make a virtual environment; failing that, one that is
# in range, so that check-python can name the package it lacks. A name on PATH may be a stub that only fails.
PYTHON ?= $(shell \
  exec 2>/dev/null; \
  for p in $(PYTHONS); do $$p -c '$(IN_RANGE)' && $$p -c '$(HAS_VENV)' && echo $$p && exit; done; \
  for p in $(PYTHONS); do $$p -c '$(IN_RANGE)' && echo $$p && exit; done)

# Where to take torch from when the default build is not the one wanted: an index address.
TORCH_INDEX ?=
# A folder of packages, which are then taken from there and not from the network; `make wheelhouse` makes it.
WHEELHOUSE ?= $(wildcard wheelhouse)
# Options for the command behind app, lab, test or bench: make app ARGS="--player DIR".
ARGS ?=

# The folder that is handed out to a class.
STICK := build/labkit-class

BIN := .venv/bin
STAMP := .venv/installed
# Packages that accept other versions than constraints.txt has: their environment lies over the other one.
INTEROP := .venv/interop
SITE := import sysconfig; print(sysconfig.get_path("purelib"))
PIP := $(BIN)/python -m pip --disable-pip-version-check
FETCH := $(PIP) download --only-binary :all: --dest $(STICK)/wheelhouse -c constraints.txt
FROM := $(if $(WHEELHOUSE),--no-index --find-links '$(WHEELHOUSE)')

# Nothing below asks the network for anything once it is installed; HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=0
# lets a player named by its hub id be fetched.
export HF_HUB_OFFLINE ?= 1
export TRANSFORMERS_OFFLINE ?= 1
export GRADIO_ANALYTICS_ENABLED ?= False

.PHONY: help install app lab test test-all test-interop lint notebooks class wheelhouse solutions results bench \
  clean check-python
.DEFAULT_GOAL := help

help:
	@echo 'make install    make .venv with everything but the browser (TORCH_INDEX=ADDRESS for another torch)'
	@echo 'make app        open the app on 127.0.0.1:7860 (ARGS="..." are passed on)'
	@echo 'make lab        open JupyterLab on your own copies of the notebooks in class/ (a copy is never overwritten)'
	@echo 'make test       run the tests but for the slow ones; some 15 minutes on two cores'
	@echo 'make test-all   run those and then the slow ones, which run every notebook'
	@echo 'make test-interop  run the tests with inspect-ai, reasoning-gym and verifiers, in .venv/interop'
	@echo 'make lint       check style, formatting and types with ruff and mypy'
	@echo 'make notebooks  run the notebooks that changed and store their results, for authors'
	@echo 'make class      make a folder to hand out: this repository, with notebooks that hold no results'
	@echo 'make wheelhouse make that folder with all packages in it, so that make install works there without network'
	@echo 'make solutions  write the notebooks with their exercises solved to solutions/, for teachers'
	@echo 'make results    write RESULTS.md and its pictures from the runs in results/'
	@echo 'make bench      time the solver, the verifier, play, training and street views'
	@echo 'make clean      remove .venv, caches and build output; runs stay'

install: $(STAMP)

app: $(STAMP)
	$(BIN)/labkit app $(ARGS)

# The root is the repository, so that links from a notebook to docs/ and results/ can be followed.
lab: $(STAMP)
	$(BIN)/python scripts/class_copies.py
	$(BIN)/jupyter lab --LabApp.app_settings_dir=$(CURDIR)/configs/jupyterlab \
	  --LabApp.extension_manager=readonly --ServerApp.root_dir=$(CURDIR) \
	  --LabApp.default_url=/lab/tree/class/00_tour.ipynb $(ARGS)

# Two workers, since each loads torch. One that dies is not replaced: its successor would begin with the test
# that killed it.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

test: $(STAMP)
	$(PYTEST) -m 'not slow' $(ARGS)

# The notebooks are one file, and the longest: its tests are spread over both workers.
test-all: test
	$(PYTEST) -m slow --dist load $(ARGS)

test-interop: $(INTEROP)/installed
	$(INTEROP)/bin/python -m pytest $(addprefix tests/interop/test_,inspect.py questions.py verifiers.py) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Each notebook is its .py file, run in a fresh kernel; ARGS="00_tour" runs only that one.
notebooks: $(STAMP)
	$(BIN)/python scripts/notebooks.py $(ARGS)

class: $(STAMP)
	$(BIN)/python scripts/class_copies.py --stick $(STICK) $(ARGS)

# setuptools builds the editable installation. A folder made for other versions has to be removed first.
wheelhouse: $(STAMP)
	cmp -s constraints.txt $(STICK)/constraints.txt || $(BIN)/python scripts/class_copies.py --stick $(STICK)
	$(if $(TORCH_INDEX),$(FETCH) --no-deps --index-url $(TORCH_INDEX) torch $(ARGS))
	$(FETCH) --find-links $(STICK)/wheelhouse '.[all]' setuptools $(ARGS)

solutions: $(STAMP)
	$(BIN)/python scripts/notebooks.py --solved solutions $(ARGS)

# ARGS=--text leaves the pictures as they are: these need kaleido and a browser.
results: $(STAMP)
	$(BIN)/python scripts/results.py $(ARGS)

bench: $(STAMP)
	$(BIN)/labkit bench $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis
	find app labkit notebooks tests -name __pycache__ -prune -exec rm -rf {} +

check-python:
	@test -n "$(PYTHON)" || { \
	  echo 'No Python from 3.11 to 3.13 was found. $(ON_DEBIAN) python3 python3-venv'; \
	  echo 'One that is elsewhere can be named: make install PYTHON=/path/to/python3'; exit 1; } >&2
	@$(PYTHON) -c '$(IN_RANGE)' || { \
	  echo '$(PYTHON) does not run, or is not Python 3.11 to 3.13. $(ON_DEBIAN) python3 python3-venv'; \
	  exit 1; } >&2
	@$(PYTHON) -c '$(HAS_VENV)' 2>/dev/null || { \
	  package=$$($(PYTHON) -c 'import sys; print("python3.%d-venv" % sys.version_info[1])'); \
	  echo "$(PYTHON) cannot make virtual environments. $(ON_DEBIAN) $$package"; exit 1; } >&2

$(BIN)/python:
	@$(MAKE) --no-print-directory check-python PYTHON="$(PYTHON)"
	$(PYTHON) -m venv --clear .venv

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(if $(TORCH_INDEX),$(PIP) install --no-deps --index-url $(TORCH_INDEX) -c constraints.txt torch)
	$(PIP) install -e '.[all]' -c constraints.txt $(FROM)
	@touch $@

$(INTEROP)/installed: constraints-interop.txt $(STAMP)
	$(BIN)/python -m venv --clear --without-pip $(INTEROP)
	site=$$($(BIN)/python -c '$(SITE)'); \
	  echo "import site; site.addsitedir('$$site')" > $$($(INTEROP)/bin/python -c '$(SITE)')/beside.pth
	$(INTEROP)/bin/python -m pip --disable-pip-version-check install -e '.[interop]' -c constraints-interop.txt
	@touch $@
