# Everything a developer types. Needs make and Python >= 3.11, nothing else: `make setup` brings the rest into .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.synced
WARM   := $(VENV)/.warm
UV     := UV_PYTHON_DOWNLOADS=never $(VENV)/uv/bin/uv

MANIFESTS := uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml)
KERNELS   := $(wildcard libs/common/src/common/quant/*.py services/*/src/*/kernel*.py)

PROFILE ?= fx
SPEED   ?= 20
FROM    ?= 2007-01-01
SEEDS   ?= 1000
ORDERS  ?= 10000
ARGS    ?=
COMPOSE ?= $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
TRACES  ?=
TRACED  := $(if $(TRACES),COMPOSE_PROFILES=traces BALLAST_TRACES_ENDPOINT=http://collector:4318/v1/traces)
ENGINES := backtesting backtrader nautilus_trader vectorbt
PRICES  ?= $(wildcard ../shared/data)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) $(WARM) ## Create .venv with everything locked, byte-compiled, kernels compiled
	@true

run: setup ## Start the whole system on real recorded prices (FROM=2007-01-01 SPEED=20)
	$(BIN)/ballast up --profile $(PROFILE) --data builtin --from $(FROM) --speed $(SPEED) $(ARGS)

stop: setup ## Stop what `make run` started
	$(BIN)/ballast down

up: secrets ## Everything in containers, watched: Prometheus, Alertmanager, Grafana (PROFILE=fx, TRACES=1 for traces too)
	$(TRACED) $(BIN)/python deploy/up.py $(COMPOSE)

down: ## Stop the containers; tape, history and secrets stay (ARGS=--volumes forgets the first two)
	COMPOSE_PROFILES=traces $(COMPOSE) down $(ARGS)

logs: ## What the containers say (ARGS="risk_guardian execution")
	$(COMPOSE) logs --follow --tail=100 $(ARGS)

test: setup ## All tests, those with real servers too (ARGS=-k...)
	$(BIN)/pytest -n 2 -m "not integration" $(ARGS)
	$(BIN)/pytest -m integration $(ARGS)

test-docker: setup ## The real images and docker-compose.yml on a Docker engine of the tests' own; needs root
	$(BIN)/pytest -m docker tests/docker -s $(ARGS)

simulate: setup ## The whole system from seeds, with faults at every step (SEEDS=1000)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

check: setup ## Style, types, import rules, generated pages, lock, containers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/contracts.py --check
	$(BIN)/python tools/features.py --check
	$(BIN)/python tools/configuration.py --check
	$(BIN)/python tools/metrics.py --check
	$(BIN)/python tools/permissions.py --check
	$(BIN)/python -m tools.dashboards --check
	$(BIN)/python tools/alerts.py
	$(BIN)/python tools/containers.py
	$(BIN)/python -m tools.kubernetes
	$(BIN)/python -m tools.supply_chain --check
	$(UV) lock --check

check-k8s: setup .bench/checkov/.synced ## deploy/k8s through checkov as well, which is installed for it
	$(BIN)/python -m tools.kubernetes --checkov .bench/checkov/bin/checkov

bench: setup ## Tick to order next to a bare relay; one decision of the guardian next to a bare VaR; other engines
	$(BIN)/ballast bench latency $(ARGS)
	$(BIN)/ballast bench regime $(ARGS)
	$(BIN)/ballast bench risk $(ARGS)
	$(BIN)/ballast bench engines $(PRICES:%=--data %) $(ARGS)

bench-engines: setup $(ENGINES:%=.bench/%/.synced) ## The same rule through other backtesters, installed for it (PRICES=folder)
	$(BIN)/ballast bench engines $(PRICES:%=--data %) $(ARGS)

chaos: setup ## Kill, freeze, cut off and starve real processes, count what is lost (ARGS="--only stops --stops 100")
	$(BIN)/python -m tests.chaos --orders $(ORDERS) $(ARGS)

drill-alerts: setup ## Break things under a real Prometheus and Alertmanager, time each alert to a webhook (ARGS="--only PostgresDown")
	$(BIN)/python -m tests.alerting $(ARGS)

power-loss: setup ## What is left of the tape when the power fails; needs root for a disk of its own
	$(BIN)/python -m tests.chaos.power_loss $(ARGS)

contracts: setup ## Write the schemas and examples of all messages to libs/common/contracts
	$(BIN)/python tools/contracts.py

features: setup ## Write docs/features.md from the specification's ids and the tests' markers
	$(BIN)/python tools/features.py

configuration: setup ## Write the reference in docs/configuration.md from the services' settings
	$(BIN)/python tools/configuration.py

metrics: setup ## Write docs/metrics.md from the catalogue of metrics
	$(BIN)/python tools/metrics.py

permissions: setup ## Write docs/permissions.md and the network policies from the contracts
	$(BIN)/python tools/permissions.py

dashboards: setup ## Write deploy/grafana/dashboards from tools/dashboards
	$(BIN)/python -m tools.dashboards

licenses: setup ## Write docs/licenses.md: the licence of everything in the lock, and where it goes
	$(BIN)/python -m tools.supply_chain

sbom: setup ## Write the bill of materials, CycloneDX, to dist/sbom.cdx.json
	mkdir -p dist
	$(BIN)/python -m tools.supply_chain --sbom dist/sbom.cdx.json

secrets: setup ## Write deploy/secrets for docker compose (PROFILE=fx)
	$(BIN)/python deploy/make_secrets.py $(PROFILE)

format: setup ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: setup ## Check every commit and push (pre-commit)
	$(BIN)/pre-commit install

clean: ## Remove .venv and caches; .ballast (your state) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find libs services cli tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/uv/bin/uv: tools/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ballast needs Python 3.11 or newer; \
	$(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --target $(VENV)/uv -r tools/uv.txt
	@touch $@

$(STAMP): $(VENV)/uv/bin/uv $(MANIFESTS)
	$(UV) sync --locked --compile-bytecode
	$(BIN)/python -m compileall -q libs services cli
	@touch $@

.bench/%/.synced: tools/bench_engines/%.txt | $(STAMP)
	$(UV) venv --quiet --clear --python $(BIN)/python .bench/$*
	$(UV) pip install --quiet --compile-bytecode --python .bench/$* -r $<
	@touch $@

.bench/checkov/.synced: tools/checkov.txt | $(STAMP)
	$(UV) venv --quiet --clear --python $(BIN)/python .bench/checkov
	$(UV) pip install --quiet --require-hashes --python .bench/checkov -r $<
	@touch $@

$(WARM): $(STAMP) $(KERNELS)
	$(BIN)/python -m common.quant.warm
	@touch $@

.PHONY: help setup run stop up down logs test test-docker check check-k8s bench bench-engines chaos drill-alerts power-loss contracts features configuration metrics permissions dashboards licenses sbom secrets format hooks clean
