# afresh: what there is to run. `make demo` and `make test` set up everything they need.
#
# Needs: Rust (the version in Cargo.toml) with cargo, Python >= 3.10 with venv, a C compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# Benches have an environment of their own: afresh as it is published, and the rivals.
BENCH := benches/.venv/bin/python
# One interpreter for every build, so that nothing is built twice.
export PYO3_PYTHON := $(BIN)/python
export CARGO_TERM_PROGRESS_WHEN ?= never

CRATE_redis := redis
CRATE_postgresql := sql
CRATE_mysql := sql
CRATE_mongodb := mongodb
CRATE_s3 := object

.DEFAULT_GOAL := help
.PHONY: help demo test test-store check fmt clippy layers servers rust extension types python \
  bench bench-identity bench-instructions bench-kv bench-rust clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 20

demo: $(VENV)/demo ## compute a real pipeline once, then again from the store
	$(BIN)/python examples/quickstart.py

test: check rust python types ## everything: format, lints, layers, Rust and Python tests, stubs, documents

check: fmt clippy layers ## what needs no tests to run

fmt: ## formatting
	cargo fmt --all --check

clippy: $(VENV)/bin/python ## lints
	cargo clippy --workspace --all-targets --quiet --features afresh/stores -- -D warnings

layers: ## dependencies point down only
	$(PYTHON) tools/layers.py

servers: ## installs the servers that tests of stores need, where they are missing
	@$(PYTHON) tools/servers.py $(STORE)

# AFRESH_TEST_REDIS_URL, …_POSTGRESQL_URL, …_MYSQL_URL, …_MONGODB_URL and …_S3_URL name servers of your own, to be used
# instead of private ones: see crates/afresh-testkit/src/servers/mod.rs.
test-store: servers ## tests and drills of one store: STORE=redis, postgresql, mysql, mongodb, s3; on your server with AFRESH_TEST_REDIS_URL=… and the like
	AFRESH_TEST_SERVERS=required cargo test -p afresh-store-$(CRATE_$(STORE))
	AFRESH_TEST_SERVERS=required cargo test -p afresh --features afresh/stores --test hosts -- --test-threads=4 $(STORE)

rust: $(VENV)/bin/python servers ## Rust tests and documentation examples
	cargo test --workspace --no-fail-fast --quiet --features afresh/stores

extension: $(VENV)/tools ## the Python extension, unoptimised, in the virtual environment
	$(BIN)/maturin develop --quiet

python: extension $(VENV)/tests ## Python tests, README and guides
	$(BIN)/python -m pytest -q

types: extension $(VENV)/tests ## the stubs against the built module, and the package's own types
	$(BIN)/python -m mypy.stubtest afresh._afresh
	$(BIN)/python -m mypy

bench: ## how fast, beside others: all rows (ten minutes), or ROWS=hit,miss; BENCH_SCALE=1k..1M
	@$(PYTHON) benches/environment.py > /dev/null
	$(BENCH) benches/python/run.py $(if $(ROWS),--rows $(ROWS))

bench-identity: ## which edits each library notices (five minutes)
	@$(PYTHON) benches/environment.py > /dev/null
	$(BENCH) benches/identity/compare.py

bench-instructions: ## instructions of a hit, beside the reference; KEEP=1 makes them the reference (needs valgrind)
	@$(PYTHON) benches/environment.py > /dev/null
	$(BENCH) benches/python/instructions.py $(if $(KEEP),--keep)

bench-rust: ## the engine and the digest without Python
	cargo bench --manifest-path benches/rust/Cargo.toml --target-dir target

bench-kv: ## the key-value face: get, set and incr, sync and async, and a million keys
	@$(PYTHON) benches/environment.py > /dev/null
	$(BENCH) benches/python/kv.py

clean: ## remove what was built
	rm -rf target $(VENV) benches/.venv python/afresh/*.so

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 10) else "afresh needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/tools: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'maturin==1.16.0'
	touch $@

$(VENV)/tests: python/requirements-test.txt $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r python/requirements-test.txt
	touch $@

# The optimised extension, without the stores on servers: their drivers take minutes to build. Rebuilt when a source changed; cargo knows what of it.
$(VENV)/demo: $(VENV)/tools Cargo.toml Cargo.lock $(shell find crates python/afresh -name '*.rs' -o -name '*.toml')
	@echo 'Building the extension (a minute or two the first time) ...'
	$(BIN)/maturin develop --release --quiet --features pyo3/extension-module
	touch $@
