# Everything a developer types. `make demo` and `make test` install what they need into .venv.

PYTHON ?= python3.11
SECONDS ?= 600
WORKERS ?= 2
VENV   := .venv
BIN    := $(VENV)/bin
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE  ?= hubspot-list-sync:$(VERSION)
WHEELS ?= dist/wheels
RUN    := $(VENV)/.run-installed
DEV    := $(VENV)/.dev-installed

.PHONY: demo test test-unit soak chaos bench lint format lock monitoring wheel image image-wheels clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(RUN)  ## the whole job on an embedded Kafka, a simulated HubSpot and real customer events
	@$(BIN)/hubspot-list-sync demo

test: $(DEV)  ## every test, on a real Kafka broker and a real Schema Registry
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

test-unit: $(DEV)  ## the tests that start no process and open no socket, with fewer examples: under 20 s
	$(BIN)/pytest -n auto --maxprocesses 4 -m "not process" --ignore tests/real --ignore tests/chaos \
	    --hypothesis-profile quick

chaos: $(DEV)  ## SECONDS=600: rounds of chaos on real parts, each with a fresh seed; SEED=4 repeats one
	$(BIN)/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

soak: $(DEV)  ## random simulations from a fresh seed for SECONDS=600, until one fails
	$(BIN)/python -m tests.simulation --seconds $(SECONDS)

bench: $(DEV)  ## measures what is fast and frugal; MEASURES="throughput growth" takes some, ROUNDS=1 is quick
	$(BIN)/python -m tests.bench $(MEASURES) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(MEASURES),,--write)

lint: $(DEV)  ## ruff (all rules) and mypy (strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)  ## what ruff can mend by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

monitoring: $(DEV)  ## writes rules and dashboard of deploy/ anew, from their source
	$(BIN)/python -m deploy.prometheus.rules
	$(BIN)/python -m deploy.grafana.dashboard

wheel: $(DEV)  ## dist/*.whl
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

image:  ## the container image IMAGE, by docker, podman or buildah, or by BUILDER; BASE=... takes another Python image
	builder="$(BUILDER)"; \
	for each in docker podman buildah; do \
	    if [ -z "$$builder" ] && $$each info >/dev/null 2>&1; then builder=$$each; fi; \
	done; \
	$${builder:?no docker, podman or buildah answers here: start or install one} build --file deploy/Dockerfile \
	    --tag $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown) .

image-wheels: $(DEV)  ## dist/wheels: with these, `make image` asks no package index
	rm -rf $(WHEELS)
	$(BIN)/pip download --quiet --no-deps --only-binary :all: --require-hashes --dest $(WHEELS) \
	    --requirement deploy/requirements.txt --requirement deploy/build-requirements.txt

lock: $(DEV)  ## pin the newest versions that pyproject.toml allows
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --output-file deploy/requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --allow-unsafe --extra dev --constraint deploy/requirements.txt \
	    --output-file tests/requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --allow-unsafe --build-deps-for wheel --only-build-deps \
	    --output-file deploy/build-requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --output-file tests/bench/peers/requirements.txt tests/bench/peers/requirements.in

clean:  ## forget the virtual environment and every cache
	rm -rf $(VENV) .venv-peers build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV):
	$(PYTHON) -m venv $(VENV)

$(RUN): deploy/requirements.txt pyproject.toml | $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement deploy/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEV): tests/requirements.txt $(RUN)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/requirements.txt
	@touch $@
