# The project's commands. Type `make` to list them.
#
# PYTHON=python3.12 makes the environment with that Python (after `make clean`).
# ARGS="-k config" is passed on by `make test`.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?=
ARGS ?=

# A Python outside of these versions has no TensorFlow, or none that has been tested.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

DEMO := results/demo

# The rival of the benchmark lives in an environment of its own; regbench does not need it.
TORCH := torch>=2.8
TORCH_VENV := .venv-torch

JAX := $(VENV)/jax
GPU_WHEELS := build/gpu-wheels

# So do the tools that make a release.
BUILD_TOOLS := build==1.6.1 twine==7.0.0
BUILD_VENV := .venv-build

# And the one that asks the package index for known vulnerabilities.
AUDIT_TOOLS := pip-audit==2.10.1
AUDIT_VENV := .venv-audit
ADVISORIES ?=

.PHONY: help install demo audit book build gpu gpu-wheels test test-browser test-configs test-docs test-exports test-jax test-pairs test-processes test-ray test-slurm bench docs evidence faults fuzz licenses lint format lock clean notebook results

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## make .venv from the lock (uv if there, else pip); again only if something changed

demo: install  ## train a baseline and three regularizers with five seeds each: table, verdicts, report
	$(BIN)/regbench demo --results $(DEMO) $(ARGS)

# ARGS="--dependencies-from .venv/bin/python" downloads nothing into the empty environment.
build: install $(BUILD_VENV)/.installed  ## make wheel and source distribution, check and try them (700 MB to download)
	rm -rf dist
	$(BUILD_VENV)/bin/python -m build
	$(BUILD_VENV)/bin/twine check --strict dist/*
	$(BIN)/python tests/distribution/check.py dist $(ARGS)
	$(BIN)/python -m tests.supply_chain sbom build/regbench.cdx.json

# ADVISORIES=all.zip takes a copy of OSV's advisories for PyPI instead, and needs no network.
audit: $(if $(ADVISORIES),install,$(AUDIT_VENV)/.installed)  ## fail on a known vulnerability in requirements.lock
	$(if $(ADVISORIES),$(BIN)/python -m tests.supply_chain audit $(ADVISORIES),\
	  $(AUDIT_VENV)/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict $(ARGS))

licenses: install  ## list the license of each package; fail on one that is not allowed
	$(BIN)/python -m tests.supply_chain licenses

test: install  ## run the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

test-docs: install  ## run every command that the guide shows
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m guide $(ARGS)

test-processes: install  ## kill, stop and repeat whole commands
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m processes $(ARGS)

test-configs: install  ## train every shipped config, and resume each kind of technique
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m configs $(ARGS)

# The tools are in a folder of their own and in no lock: nothing else needs them.
test-exports: install  ## let TensorBoard, MLflow, W&B, trackio and Parquet read what regbench exports
	@install="$(BIN)/python -m pip install --disable-pip-version-check"; \
	if command -v uv >/dev/null; then install="uv pip install --compile-bytecode --python $(BIN)/python"; fi; \
	test -d $(VENV)/exports || $$install --quiet --only-binary :all: --target $(VENV)/exports \
	  tensorboard mlflow-skinny wandb trackio pyarrow
	PYTHONPATH=$(VENV)/exports $(BIN)/python -m pytest tests/exports $(ARGS)

# One process, which the workers are forked from; they use all cores.
test-pairs: install  ## train every technique in every network, killed once and resumed (half an hour)
	$(BIN)/python -m pytest -m pairs tests/models/test_every_pair.py $(ARGS)

# JAX is in a folder of its own and in no lock: nothing else needs it.
test-jax: install $(JAX)/.installed  ## resume, repeat and compare runs on the JAX backend, on the CPU
	export PYTHONPATH=$(JAX) KERAS_BACKEND=jax JAX_PLATFORMS=cpu; \
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m "not slow" tests/training/test_jax.py tests/training/test_compiled_models.py $(ARGS) && \
	$(BIN)/python -m pytest tests/training/test_checkpoints.py -k "never_was or restart_does"

# Ray and submitit are in a folder of their own and in no lock: nothing else needs them.
test-ray: $(VENV)/clusters  ## run the executor for Ray on a cluster of three nodes (loopback)
	PYTHONPATH=$(VENV)/clusters $(BIN)/python -m pytest -m ray tests/execution/test_ray.py -rs $(ARGS)

test-slurm: $(VENV)/clusters  ## run the executor for SLURM on a SLURM that is started for it (Debian, root)
	PYTHONPATH=$(VENV)/clusters $(BIN)/python -m pytest -m slurm tests/execution/test_slurm.py -rs $(ARGS)

$(VENV)/clusters: | $(INSTALLED)
	@install="$(BIN)/python -m pip install --disable-pip-version-check"; \
	if command -v uv >/dev/null; then install="uv pip install --compile-bytecode --python $(BIN)/python"; fi; \
	$$install --quiet --only-binary :all: --target $@ "ray>=2.40" "submitit>=1.5"

test-browser: install  ## look at the report in Chromium, where that is installed
	$(BIN)/python -m pytest -m browser $(ARGS)

faults: install  ## kill runs, fill disks, damage files and configs: prints a table (forty minutes)
	$(BIN)/python -m tests.faults $(ARGS)

results: install  ## make the shipped results again (an hour on two quiet cores; a second call resumes)
	REGBENCH_DATA=$(CURDIR)/build/evidence/data $(BIN)/python -m tests.evidence make $(ARGS)

evidence: install  ## train one seed of each study again, and compare it with the shipped results
	$(BIN)/python -m tests.evidence check $(ARGS)

# Atheris is in a folder of its own and in no lock: nothing else needs it.
fuzz: install  ## fuzz configs for a minute, guided by coverage (Linux)
	@install="$(BIN)/python -m pip install --disable-pip-version-check"; \
	if command -v uv >/dev/null; then install="uv pip install --compile-bytecode --python $(BIN)/python"; fi; \
	test -d $(VENV)/fuzz || $$install --quiet --no-deps --only-binary :all: --target $(VENV)/fuzz atheris==3.0.0
	PYTHONPATH=$(VENV)/fuzz $(BIN)/python -m tests.faults.atheris_configs -max_total_time=60 $(ARGS)

lint: install  ## check style, formatting, import layers and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

docs: install  ## build the guide into docs/_build (warnings are errors)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs docs/_build
	@echo "Open docs/_build/index.html"

book: install  ## check the numbers of the course notes' book, draw its figures, build the guide with it
	$(BIN)/python -m docs.book
	@$(MAKE) --no-print-directory docs
	@echo "Open docs/_build/book/index.html"

# Jupyter's parts are in a folder of their own and in no lock: nothing else needs them.
notebook: install  ## execute the guide's notebook in a kernel of its own
	@install="$(BIN)/python -m pip install --disable-pip-version-check"; \
	if command -v uv >/dev/null; then install="uv pip install --compile-bytecode --python $(BIN)/python"; fi; \
	test -d $(VENV)/notebook || $$install --quiet --only-binary :all: --target $(VENV)/notebook nbclient ipykernel
	PYTHONPATH=$(VENV)/notebook JUPYTER_PLATFORM_DIRS=1 $(BIN)/python docs/notebooks/execute.py

bench: install $(TORCH_VENV)/.installed  ## measure speed against plain Keras and PyTorch (an hour or more on a quiet machine; resumes)
	PYTHONPATH=. $(BIN)/python benchmarks/bench.py --torch-python $(TORCH_VENV)/bin/python \
	  --output benchmarks/results.md --keep build/bench.json $(ARGS)

# Nothing is downloaded where there is no GPU. A folder of wheels serves a machine without network:
# there, `python benchmarks/gpu.py --libraries build/gpu-wheels` needs JAX and torch alone.
gpu:  ## try JAX on a GPU and measure it, in at most 8 minutes; writes benchmarks/gpu.md
	@if nvidia-smi -L >/dev/null 2>&1 && ! test -f $(GPU_WHEELS)/.complete; then $(MAKE) gpu-wheels; fi
	$(or $(PYTHON),python3) benchmarks/gpu.py --libraries $(GPU_WHEELS) --output benchmarks/gpu.md $(ARGS)

# TensorFlow is 700 MB and not used there; jax and torch, built for the card, are the machine's own.
gpu-wheels: install  ## download what `make gpu` needs besides JAX and torch into build/gpu-wheels
	mkdir -p $(GPU_WHEELS)
	$(BIN)/python -m pip download --quiet --only-binary :all: --dest $(GPU_WHEELS) \
	  $$(sed -n '/^dependencies = \[/,/^\]/s/^ *"\([^"]*\)".*/\1/p' pyproject.toml | grep -v tensorflow) pytest
	touch $(GPU_WHEELS)/.complete

format: install  ## put the code into shape
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

$(TORCH_VENV)/.installed: | $(INSTALLED)
	$(BIN)/python -m venv $(TORCH_VENV)
	$(TORCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" "numpy>=2.1"
	@touch $@

$(JAX)/.installed: | $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --target $(JAX) "jax>=0.7" jaxlib
	@touch $@

$(BUILD_VENV)/.installed: | $(INSTALLED)
	$(BIN)/python -m venv $(BUILD_VENV)
	$(BUILD_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(BUILD_TOOLS)
	@touch $@

$(AUDIT_VENV)/.installed: | $(INSTALLED)
	$(BIN)/python -m venv $(AUDIT_VENV)
	$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(AUDIT_TOOLS)
	@touch $@

lock:  ## update requirements.lock after a change of pyproject.toml (needs uv; ARGS=--upgrade for all)
	uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
	  --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --group dev --group browser --group docs --output-file requirements.lock $(ARGS) pyproject.toml

clean:  ## remove the environment and all that tools left behind
	rm -rf $(VENV) $(TORCH_VENV) $(BUILD_VENV) $(AUDIT_VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find configs regbench tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is touched last: an installation that was interrupted is taken up again.
$(INSTALLED): requirements.lock pyproject.toml
	@set -eu; \
	complain() { \
	  echo "make install: expected Python 3.11, 3.12 or 3.13, received $$1." \
	    "Install one of them (or uv), or name one: make install PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	}; \
	if command -v uv >/dev/null; then \
	  if ! test -x $(BIN)/python; then \
	    rm -rf $(VENV); uv venv --no-project --python "$(or $(PYTHON),>=3.11,<3.14)" $(VENV); \
	  fi; \
	  install="uv pip install --compile-bytecode --python $(BIN)/python"; \
	else \
	  if ! test -x $(BIN)/pip; then \
	    python=; \
	    for each in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	      if "$$each" -c '$(SUPPORTED)' 2>/dev/null; then python="$$each"; break; fi; \
	    done; \
	    if test -z "$$python"; then complain "$$($(or $(PYTHON),python3) --version 2>&1 || true)"; fi; \
	    rm -rf $(VENV); "$$python" -m venv $(VENV); \
	  fi; \
	  install="$(BIN)/python -m pip install --disable-pip-version-check"; \
	fi; \
	if ! $(BIN)/python -c '$(SUPPORTED)'; then \
	  received=$$($(BIN)/python --version 2>&1); rm -rf $(VENV); complain "$$received"; \
	fi; \
	echo "Installing into $(VENV): TensorFlow and the like, a download of some 700 MB the first time"; \
	$$install --only-binary :all: --require-hashes -r requirements.lock; \
	$$install --quiet --no-deps --no-build-isolation -e .
	@touch $@
