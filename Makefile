# Two commands: `make run` shows a hub, `make test` tests it. Both begin with nothing but
# Python 3.11, its venv module and make; all they install goes into .venv.

# The first that will do; another: make PYTHON=/path/to/python3 run
ifndef PYTHON
PYTHON := $(or $(shell for it in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$it -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$it && break; \
  done),python3)
endif
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
SPREAD ?= -n auto --dist worksteal  # over the processors; SPREAD= for one process
DEMO_ARGS ?=
BENCH_ARGS ?=
KILLS ?= 300
FUZZ ?= session mime header words sequence deflate
FUZZ_SECONDS ?= 60

.PHONY: run test check lint types bench soak proof fuzz sections sizes clean help

help:  ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/run.stamp  ## a mail server on loopback, to play with
	@$(BIN)/mailhub demo $(DEMO_ARGS)

test: $(VENV)/dev.stamp  ## all tests
	@$(BIN)/python -m pytest $(SPREAD) $(PYTEST_ARGS)

check: $(VENV)/dev.stamp  ## the quick loop: lint, form, types, tests without other programs
	@$(MAKE) --no-print-directory lint types
	@$(BIN)/python -m pytest $(SPREAD) -m "not interop and not soak" $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp  ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp  ## mypy, strict
	@$(BIN)/mypy

bench: $(VENV)/run.stamp  ## the same work, against Postfix and Dovecot if they are installed
	@$(BIN)/python -m bench.run $(BENCH_ARGS)

soak: $(VENV)/dev.stamp  ## the long tests, among them KILLS=300 times SIGKILL under load
	@MAILHUB_KILLS=$(KILLS) $(BIN)/python -m pytest -m "soak or crash" $(PYTEST_ARGS)

proof: $(VENV)/dev.stamp  ## a crash at each call to the disk, and at each word on the wire
	@$(BIN)/python -m pytest $(SPREAD) -m soak tests/sim/test_proof.py $(PYTEST_ARGS)

fuzz: $(VENV)/dev.stamp  ## what is parsed, by atheris, FUZZ_SECONDS=60 for each of FUZZ=...
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	@for target in $(FUZZ); do \
	  $(BIN)/python -m tests.fuzz.run $$target $(FUZZ_SECONDS) || exit 1; done

sections: $(VENV)/dev.stamp  ## which lines obey which sections of which RFC
	@$(BIN)/python docs/report.py sections

sizes: $(VENV)/dev.stamp  ## the longest files and functions
	@$(BIN)/python docs/report.py sizes

clean:  ## away with all that was made
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -f twisted/plugins/dropin.cache .coverage

# A .venv is good if its stamp says so: made here, by this Python, of this pyproject.toml. One
# that was moved, half made or whose Python has gone is made anew; a stamp is written last.
ORIGIN := $(CURDIR) \
  $(shell $(PYTHON) -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null)
SUM := $(shell cksum < pyproject.toml)

define stamped
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null || \
	    [ "$$(cat $(VENV)/origin 2>/dev/null)" != '$(ORIGIN)' ]; then \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'mailhub needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }; \
	  echo 'Making $(VENV) ...'; \
	  rm -rf $(VENV); \
	  $(PYTHON) -m venv $(VENV) || \
	    { echo 'Python lacks its venv module (Debian: apt install python3-venv)'; exit 1; }; \
	  printf '%s\n' '$(ORIGIN)' > $(VENV)/origin; \
	fi
	@if [ "$$(cat $@ 2>/dev/null)" != '$(SUM)' ]; then \
	  echo 'Installing into $(VENV) (a minute, the first time) ...'; rm -f $@; \
	  $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '$(1)' && \
	  printf '%s\n' '$(SUM)' > $@; \
	fi
endef

.PHONY: $(VENV)/run.stamp $(VENV)/dev.stamp

$(VENV)/run.stamp:
	$(call stamped,.)

$(VENV)/dev.stamp:
	$(call stamped,.[dev])
