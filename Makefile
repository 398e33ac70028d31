# The only entry points: `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
PYTHON_VLLM ?= python3.11
PYTHON_TRAINERS ?= python3.11
ARGS ?=
PIP := -m pip --disable-pip-version-check -qq --no-input

# The default install has no torch; the development environment has the CPU build that constraints.txt pins.
.PHONY: help install dev run test test-vllm test-trainers test-deploy test-image example-trl image check format bench bench-vllm artifacts docs dashboards redis prometheus chromium clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.installed  ## the default install, in .venv (no torch, no GPU packages)

.venv/.installed: pyproject.toml constraints.txt
	@$(call create_environment,.venv)
	@.venv/bin/python $(PIP) install -c constraints.txt -e .
	@touch $@

dev: .venv-dev/.installed  ## everything that tests, checks and training of the heads need, in .venv-dev

.venv-dev/.installed: pyproject.toml client/pyproject.toml constraints.txt
	@$(call create_environment,.venv-dev)
	@.venv-dev/bin/python $(PIP) install -c constraints.txt --group dev -e '.[distill,evaluate,transformers]' -e ./client
	@touch $@

run: install  ## start the service on the embedded grader, score examples/batch.json, keep serving (ARGS=--once: then stop)
	@.venv/bin/python examples/first_batch.py $(ARGS)

test: dev redis prometheus chromium  ## the tests, against a real Redis, Prometheus, browser and server (ARGS goes to pytest)
	@.venv-dev/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

# An engine that does not start leaves a socket context of vLLM's open, which is no fault of a test.
test-vllm: .venv-vllm/.installed  ## the tests of the vllm grader, on vLLM's CPU build (x86-64 with AVX-512, Python 3.11)
	@.venv-vllm/bin/python -m pytest -p no:unraisableexception --disable-warnings tests/vllm $(ARGS)

test-deploy: .venv-deploy/.installed redis  ## the compose file and the Helm chart, against pinned schemas and Helm's own code
	@.venv-deploy/bin/python -m pytest tests/deploy/test_compose.py tests/deploy/test_chart.py $(ARGS)

.venv-deploy/.installed: pyproject.toml constraints.txt
	@$(call create_environment,.venv-deploy)
	@.venv-deploy/bin/python $(PIP) install -c constraints.txt --group deploy -e .
	@touch $@

image:  ## build the image of the service (ARGS: cpu or gpu, and a tag), without a Docker engine
	@deploy/build-image.sh $(ARGS)

test-image: dev  ## build the cpu image, run it as it is meant to be run, and stop it under load (needs buildah and podman)
	@TEST_IMAGE=1 .venv-dev/bin/python -m pytest tests/deploy/test_image.py $(ARGS)

# What vLLM's CPU build brings besides itself does not fit its torch, and would keep it from starting.
.venv-vllm/.installed: pyproject.toml constraints-vllm.txt
	@$(require_vllm_machine)
	@[ -x .venv-vllm/bin/python ] || $(PYTHON_VLLM) -m venv .venv-vllm
	@.venv-vllm/bin/python $(PIP) install --upgrade 'pip>=25.1'
	@.venv-vllm/bin/python $(PIP) install -c constraints-vllm.txt --group vllm -e .
	@.venv-vllm/bin/python $(PIP) uninstall --yes torchvision torchaudio torchcodec
	@touch $@

test-trainers: .venv-trainers/.installed  ## the tests with real trainers: TRL, verl, OpenRLHF, verifiers and others (Python 3.11)
	@.venv-trainers/bin/python -m pytest --disable-warnings tests/trainers $(ARGS)

example-trl: .venv-trainers/.installed  ## train a small policy with TRL on the service's rewards, some minutes on 2 cores (ARGS="--algorithm rloo --seed 1")
	@.venv-trainers/bin/python -m examples.trl.train $(ARGS)

# The second line's packages demand GPU libraries that no test needs: only their HTTP clients and reward wrappers are run.
.venv-trainers/.installed: pyproject.toml client/pyproject.toml constraints-trainers.txt
	@$(require_python_of_trainers)
	@[ -x .venv-trainers/bin/python ] || $(PYTHON_TRAINERS) -m venv .venv-trainers
	@.venv-trainers/bin/python $(PIP) install --upgrade 'pip>=25.1'
	@.venv-trainers/bin/python $(PIP) install -c constraints-trainers.txt --group trainers -e . -e client
	@.venv-trainers/bin/python $(PIP) install -c constraints-trainers.txt --no-deps areal llamafactory openrlhf
	@touch $@

check: dev  ## format, lint, types, import layering
	@.venv-dev/bin/ruff format --check --quiet .
	@.venv-dev/bin/ruff check --quiet .
	@.venv-dev/bin/mypy --no-error-summary
	@.venv-dev/bin/lint-imports --no-logo > /dev/null || .venv-dev/bin/lint-imports --no-logo

format: dev  ## rewrite the sources to the house format
	@.venv-dev/bin/ruff format --quiet .
	@.venv-dev/bin/ruff check --quiet --fix .

bench: dev redis  ## measure throughput beside its limits: the service, then the transformers grader; writes benchmarks/results/
	@.venv-dev/bin/python -m benchmarks.serving $(ARGS)
	@.venv-dev/bin/python -m benchmarks.transformers

bench-vllm: .venv-vllm/.installed  ## vLLM's CPU build bare, behind the service, and the transformers grader
	@.venv-vllm/bin/python -m benchmarks.vllm $(ARGS)

artifacts: dev  ## regenerate the shipped heads and weights from the corpus (heads may differ in the last bits between machines)
	@.venv-dev/bin/rbr corpus --out .cache/corpus.jsonl
	@.venv-dev/bin/rbr distill .cache/corpus.jsonl --from-scratch --out grader/backends/embedded/artifact
	@.venv-dev/bin/rbr fit .cache/corpus.jsonl --grader embedded --out models/reward/packaged/safety-embedded.json

docs: dev  ## regenerate docs/configuration.md from the settings
	@.venv-dev/bin/python -m service.configuration > docs/configuration.md

dashboards: dev  ## regenerate deploy/grafana/dashboards/ from deploy/grafana/*.py
	@.venv-dev/bin/python -m deploy.grafana

redis:
	@deploy/install-redis.sh

# Not every system packages these two: the tests that need them are skipped there, and say so.
prometheus:
	@deploy/install-prometheus.sh || true

chromium:
	@deploy/install-chromium.sh || true

clean:  ## remove environments and caches
	@rm -rf .venv .venv-dev .venv-vllm .venv-trainers .venv-deploy .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

define create_environment
	$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else "rbr-service needs Python 3.11 to 3.13; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.12")'; \
	[ -x $(1)/bin/python ] || $(PYTHON) -m venv $(1); \
	$(1)/bin/python $(PIP) install --upgrade 'pip>=25.1'
endef

define require_vllm_machine
[ "$$(uname -m)" = x86_64 ] && grep -qw avx512f /proc/cpuinfo || { echo "make test-vllm needs an x86-64 processor with AVX-512 and Linux: vLLM's CPU build has no other" >&2; exit 1; }; \
	$(PYTHON_VLLM) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null || { echo "make test-vllm needs Python 3.11, for which constraints-vllm.txt is made. Set PYTHON_VLLM=/path/to/python3.11" >&2; exit 1; }
endef

define require_python_of_trainers
$(PYTHON_TRAINERS) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null || { echo "make test-trainers needs Python 3.11, for which constraints-trainers.txt is made. Set PYTHON_TRAINERS=/path/to/python3.11" >&2; exit 1; }
endef
