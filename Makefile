# Every target except help and clean first runs the set-up that it needs, which does nothing if it is up to date.

PYTHON ?= python3
VENV := .venv
BENCH_ARGS ?=
# Python compiles modules when it imports them, which are few of those installed.
PIP_INSTALL := -m pip install --no-compile
PYTEST_ARGS ?=

TYPED := ambert_tf $(wildcard *.py) $(wildcard data/*.py) $(wildcard demo/*.py) $(wildcard benchmarks/*.py)
SOURCES := $(shell find ambert_tf benchmarks data demo examples tests *.py -name '*.py')

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint clean

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 14

setup: $(VENV)/.packages $(VENV)/.compiled $(VENV)/.kenlm ## Make .venv from the lock file, with KenLM's lmplz (PYTHON=python3.12 to choose)
	@echo "Set-up is complete."

$(VENV)/.created:
	@$(PYTHON) tools/check_machine.py
	@tools/quietly.sh $(VENV)/log/venv.log $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.packages: requirements.lock pyproject.toml | $(VENV)/.created
	@echo "Installing the packages of requirements.lock into $(VENV) (a few minutes) ..."
	@grep -v '^kenlm==' requirements.lock >$(VENV)/packages.txt
	@tools/quietly.sh $(VENV)/log/packages.log $(VENV)/bin/python $(PIP_INSTALL) --no-deps -r $(VENV)/packages.txt
	@tools/quietly.sh $(VENV)/log/ambert_tf.log \
	    $(VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Otherwise, the processes of `make test` would compile the same modules at the same time.
$(VENV)/.compiled: $(VENV)/.packages
	@tools/quietly.sh $(VENV)/log/compiled.log $(VENV)/bin/python -c "import keras_hub, tensorflow_datasets, tensorflow_text"
	@touch $@

$(VENV)/.kenlm: requirements.lock tools/build_kenlm.sh tools/kenlm-build-requirements.txt | $(VENV)/.created
	@echo "Building KenLM (a minute) ..."
	@tools/build_kenlm.sh $(VENV)
	@touch $@

$(VENV)/.peers: requirements-peers.lock $(VENV)/.packages
	@echo "Installing the packages for comparison, such as PyTorch (0.4 GB; 3 GB if pip finds no CPU build) ..."
	@tools/quietly.sh $(VENV)/log/peers.log \
	    $(VENV)/bin/python $(PIP_INSTALL) -r $(VENV)/packages.txt -r requirements-peers.lock
	@touch $@

demo: setup ## Pre-train, fine-tune, export and query a small Chinese AMBERT in output/demo/
	$(VENV)/bin/python demo/run_demo.py --output_dir=output/demo

test: setup $(VENV)/.linted $(VENV)/.peers ## Lint and run all tests (PYTEST_ARGS="-k tokenizer" selects some)
	$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: setup $(VENV)/.peers ## Run the benchmarks (BENCH_ARGS="--help" shows their flags)
	$(VENV)/bin/python benchmarks/run_all.py $(BENCH_ARGS)

lint: ## Run ruff and mypy
	@rm -f $(VENV)/.linted
	@$(MAKE) --no-print-directory $(VENV)/.linted

$(VENV)/.linted: $(VENV)/.packages pyproject.toml $(SOURCES)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy $(TYPED)
	@touch $@

clean: ## Remove .venv and caches, but not output/
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
