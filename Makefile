# Every target sets up what it needs first; a second run finds the stamps and opens no connection.

PYTHON ?= python3
STUDY ?= wisconsin
SEED ?= 1
STORE ?= embedded
TORCH ?=
TESTS ?= tests
WORKERS ?= 2
FUZZ_EXAMPLES ?= 40
MUTANTS ?= 1000
WALKS ?= 1000
FUZZ_SECONDS ?= 300

BIN := .venv/bin
PRETTIER := $(BIN)/node node_modules/prettier/bin/prettier.cjs
SOLHINT := $(BIN)/node node_modules/solhint/solhint.js

# The Node of the wheel and the checkout's tools come first, also for what the tools start.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HARDHAT_DISABLE_TELEMETRY_PROMPT := true

.PHONY: help setup engines compose-init demo test test-chain test-bft test-swarm seeds fuzz prove coverage bench lint format contracts lock clean

help:
	@echo "make demo       one whole study: STUDY=$(STUDY) SEED=$(SEED); TORCH=cpu for a torch without CUDA"
	@echo "                STORE=$(STORE), or STORE=kubo: over a private IPFS with a node for each party,"
	@echo "                or STORE=cluster: with copies at several of them"
	@echo "make test       every test: TESTS=tests/storage for a part, WORKERS=$(WORKERS)"
	@echo "make test-chain what chain/ needs of a node: CONSILIUM_RPC=http://… [CONSILIUM_RPC_KEY_FILE=…]"
	@echo "make test-bft   the same, and deaths, on four real validators in a network of their own"
	@echo "make test-swarm a study, losses, partitions, members on real nodes and cluster peers: half an hour"
	@echo "make engines    Kubo, IPFS Cluster, the Compose loader: built once on a machine (make test does it)"
	@echo "make compose-init  keys and configuration for docker-compose.yml; as root OWNER=1000:1000"
	@echo "make seeds      the real studies on three seeds each (make test runs one of the X-rays)"
	@echo "make fuzz       the API by its own description: FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) each operation,"
	@echo "                and what reads bytes of others: FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make prove      the contracts: fuzzed, walked WALKS=$(WALKS) times, proven by Halmos, each error met,"
	@echo "                MUTANTS=$(MUTANTS) of their conditions made to err"
	@echo "make coverage   which statements of the contracts, and sides of conditions, the tests run"
	@echo "make lint       every check of form, types and layers"
	@echo "make bench      every claim of speed and accuracy, measured"
	@echo "make format     bring Python, Solidity and documents into form"
	@echo "make contracts  compile contracts/ into the committed artifacts"
	@echo "make lock       make the locks anew from requirements.in and package.json"
	@echo "make clean      remove what the set-up and the tools made"

setup:
	@$(PYTHON) tools/setup.py --torch-backend "$(TORCH)"

engines: setup
	@$(PYTHON) tools/engines.py
	@$(BIN)/python tools/own_environment.py halmos

compose-init: engines
	@$(BIN)/python tools/compose_init.py $(if $(OWNER),--owner $(OWNER))

demo: setup $(if $(filter kubo cluster,$(STORE)),engines)
	@$(BIN)/consilium demo --study $(STUDY) --seed $(SEED) --store $(STORE)

test: setup engines
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

test-chain: setup
	$(BIN)/python -m pytest tests/chain/test_conformance.py

# Kaia's peers listen on every address: here they do so in a network with loopback alone.
test-bft: setup
	@$(PYTHON) tools/engine_kaia.py
	CONSILIUM_BFT=1 $(BIN)/python tools/own_network.py $(BIN)/python -m pytest tests/bft

test-swarm: setup engines
	CONSILIUM_SWARM=1 $(BIN)/python -m pytest tests/storage/test_cluster_faults.py \
		tests/storage/test_cluster_mend.py tests/storage/test_faults_blocks.py \
		tests/storage/test_faults_kill.py tests/storage/test_faults_load.py \
		tests/storage/test_swarm_rekey.py \
		tests/storage/test_hardening_cluster.py \
		tests/api/test_cli_swarm.py tests/e2e/test_cluster_study.py tests/e2e/test_erasing.py \
		tests/e2e/test_silent_members.py \
		tests/tooling/test_compose_running.py
	CONSILIUM_SWARM=1 $(BIN)/python tools/own_network.py \
		$(BIN)/python -m pytest tests/storage/test_faults_network.py

seeds: setup
	CONSILIUM_ALL_SEEDS=1 $(BIN)/python -m pytest tests/federated/test_real_studies.py

fuzz: setup
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/api/test_server_fuzz.py
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/storage/test_fuzz.py

prove: setup
	FUZZ_RUNS=10000 WALKS=$(WALKS) $(BIN)/node node_modules/hardhat/dist/src/cli.js test solidity
	$(BIN)/python tools/halmos_check.py
	@mkdir -p build && rm -f build/errors-seen
	CONSILIUM_SEEN=build/errors-seen $(BIN)/python -m pytest tests/contracts \
		--ignore tests/contracts/test_errors.py --ignore tests/contracts/test_hardhat.py
	CONSILIUM_SEEN=build/errors-seen $(BIN)/python -m pytest tests/contracts/test_errors.py
	MACHINE_GAMES=20 MACHINE_STEPS=20 $(BIN)/python -m pytest tests/chain/test_state_machines.py
	$(BIN)/python tools/mutate.py --count $(MUTANTS)

coverage: setup
	$(BIN)/python tools/coverage.py

bench: setup engines
	$(BIN)/python -m bench
	$(BIN)/python bench/federated.py
	$(BIN)/python bench/accuracy.py
	$(BIN)/python bench/chain.py
	$(BIN)/python bench/storage.py

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PRETTIER) --check --log-level warn .
	$(SOLHINT) --disc --max-warnings 0 "contracts/**/*.sol"
	$(BIN)/python -m chain.compile --check
	$(BIN)/python tools/slither_check.py

format: setup
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(PRETTIER) --write --log-level warn .

contracts: setup
	$(BIN)/python -m chain.compile

# Not npm's packages: their lock may lag behind a package.json edited by hand.
lock:
	@$(PYTHON) tools/setup.py --only python --torch-backend "$(TORCH)"
	$(BIN)/python tools/lock.py

clean:
	rm -rf .venv node_modules build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
