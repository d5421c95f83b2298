# Every target sets up .venv first; demo installs no tools of developers. Only Python 3.11 or newer has to be installed.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
RUNS   := $(VENV)/.runs
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
# Tests that start no run and no Spark.
QUICK := $(addprefix tests/,house config text features dataset evaluation report cli market/cleaning market/sources)

.PHONY: help install setup demo stream-demo check test lint format docs images bench bench-peers lock soak spark-versions cloud-up cloud-down clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(READY) ## Install pinned dependencies, and Java for Spark if there is none

demo: $(RUNS) ## Run the whole pipeline on a small synthetic market: no network, no account
	$(BIN)/cloudlstm submit --config=examples/demo.toml

stream-demo: $(READY) ## Synthetic minutes through a broker, a stream and its page: no network, no account, less than a minute
	$(BIN)/python -m localstack.kafka.demo

check: lint ## Check style and types, then run the quick tests: less than 90 s on 2 cores
	$(BIN)/python -m pytest -q -n 2 $(QUICK)

# Three workers keep two cores busy: a test that starts a run spends a quarter of its time waiting for processes.
test: lint ## Check style and types, then run all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Fix style and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write docs/configuration.md, the JSON schemas and the tables of Terraform and prices
	$(BIN)/python -m cloudlstm.config.reference > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(BIN)/python -m cloudlstm.report.schema > docs/report.schema.json.new
	mv docs/report.schema.json.new docs/report.schema.json
	$(BIN)/python -m cloudlstm.benchmark.document > docs/benchmark.schema.json.new
	mv docs/benchmark.schema.json.new docs/benchmark.schema.json
	$(BIN)/python -m cloudlstm.models.delivery > docs/latest.schema.json.new
	mv docs/latest.schema.json.new docs/latest.schema.json
	$(BIN)/python docs/tables.py

images: $(READY) ## Draw the pictures of the README: make images REPORT=runs/<run id>/report/report.json BENCHMARK=…/benchmark.json
	$(BIN)/python docs/images/make.py $(REPORT) $(BENCHMARK)

bench: $(READY) ## Measure our own speed, for a quiet machine: data steps, training, demo, resubmit, predict, forecasts
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/training.py --steps=250
	$(BIN)/python benchmarks/own.py

GROUP ?= data,loader,training

bench-peers: $(READY) ## Measure against Polars, DuckDB, PyTorch and others: make bench-peers GROUP=data
	$(BIN)/python benchmarks/peers/run.py --groups=$(GROUP)

LOCK   := uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
NODES  := -c requirements/dev.txt --extra market --extra news --extra aws --extra gcp-storage --python-platform x86_64-manylinux_2_28

lock: ## Update the pinned dependencies (needs uv)
	$(LOCK) pyproject.toml --extra all --extra mlflow --group dev --universal -o requirements/dev.txt
	$(LOCK) pyproject.toml -c requirements/dev.txt --extra all --group install --universal -o requirements/run.txt
	$(LOCK) --group pyproject.toml:java --universal -o requirements/java.txt
	$(LOCK) --group pyproject.toml:checkov --universal -o requirements/checkov.txt
	$(LOCK) --group pyproject.toml:stream -c requirements/dev.txt --python-platform x86_64-manylinux_2_28 -o requirements/stream.txt
	$(LOCK) --group pyproject.toml:uv --python-platform x86_64-manylinux_2_28 -o requirements/uv.txt
	$(LOCK) pyproject.toml $(NODES) -o requirements/spark.txt
	$(LOCK) pyproject.toml $(NODES) --extra gcp --extra daily -o requirements/launcher.txt
	$(LOCK) pyproject.toml $(NODES) --extra train -o requirements/trainer-cpu.txt
	$(LOCK) pyproject.toml $(NODES) --extra cuda -o requirements/trainer-cuda.txt

soak: $(READY) ## Kill the launcher at 1,000 points of runs on a simulated cloud, and a stream on Spark at 20 moments
	CLOUDLSTM_KILL_POINTS=1000 $(BIN)/python -m pytest -n 2 tests/targets/test_kill_points.py
	CLOUDLSTM_SPARK_KILLS=20 $(BIN)/python -m pytest tests/stream/test_killed_spark.py

spark-versions: $(READY) ## Prepare with every supported version of Spark; the data must be equal, byte for byte
	CLOUDLSTM_SPARK_VERSIONS="3.5.8 4.1.1 4.3.0" $(BIN)/python -m pytest tests/targets/test_spark_versions.py

CLOUD ?= aws
MODELS ?=

cloud-up: $(READY) ## Start an emulated AWS or GCP in the background: eval "$$(make -s cloud-up CLOUD=gcp)"
	@$(BIN)/python -m localstack up --cloud=$(CLOUD) --target=target.json --models=$(MODELS)

cloud-down: $(READY) ## Stop it: eval "$$(make -s cloud-down)" also unsets its variables
	@$(BIN)/python -m localstack down

clean: ## Remove the environment and caches; runs stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(READY): pyproject.toml requirements/dev.txt requirements/java.txt
	@$(MAKE) --no-print-directory install LOCKED=requirements/dev.txt COST="1.3 GB to fetch, 4 GB on disk, two to five minutes"
	@touch $(RUNS) $(READY)

$(RUNS): pyproject.toml requirements/run.txt requirements/java.txt
	@$(MAKE) --no-print-directory install LOCKED=requirements/run.txt COST="1.1 GB to fetch, 3 GB on disk, two to five minutes"
	@touch $(RUNS)

install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cloudlstm needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python requirements/install.py $(LOCKED) "$(COST)"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'from cloudlstm.targets.local.java import find_java; find_java()' 2>/dev/null || \
	  $(BIN)/python requirements/install.py requirements/java.txt "Java for Spark, 34 MB to fetch"
	-@$(BIN)/python -c 'from cloudlstm.targets.local.target import make_class_archive; make_class_archive()'
