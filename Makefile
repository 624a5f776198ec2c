# `make check` is for before a commit, `make test` runs every test, `make lint` every check of style. Needed: Rust with cargo, Python 3.11 or newer with venv, Node.js with npm, and Chromium.

VENV := .venv
PYTHON := $(VENV)/bin/python
REQUIREMENTS := tests/read_back/requirements.txt tests/python/requirements.txt
# Readers of Delta Lake, which want another DuckDB.
DELTA_VENV := .venv-delta
DELTA_REQUIREMENTS := tests/read_back/delta-requirements.txt
# Newer than the requirements when they are installed.
STAMP := $(VENV)/installed
DELTA_STAMP := $(DELTA_VENV)/installed

# What trains models, to read training sets.
TRAIN_VENV := .venv-train
TRAIN_REQUIREMENTS := tests/training/requirements.txt
TRAIN_STAMP := $(TRAIN_VENV)/installed

# A stand-in for Azure; what is like S3 is in the environment above.
AZURITE := .azurite
AZURITE_STAMP := $(AZURITE)/installed

# What the Python tests run: what cargo has just built.
export TASKLOOM_BIN ?= $(or $(CARGO_TARGET_DIR),target)/debug/taskloom
# Keeps __pycache__ out of the sources.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: check test announce prepared browser rows rows-by-delta trainers kernel tokenizer module-tests module wheel soak lint bench clean

# Format, lint and the fast tests: under two minutes after a change.
check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --lib
	cargo test --test it -- docs:: schemas:: inputs:: rejects:: commands::

# First what is fetched, beside the build; then what keeps both cores busy by itself; then what does not.
test: announce
	$(MAKE) --jobs=3 prepared
	$(DELTA_VENV)/bin/python tests/servers.py cargo test
	$(MAKE) --jobs=2 --output-sync=target rows rows-by-delta module-tests trainers kernel

prepared: browser $(STAMP) $(DELTA_STAMP) $(TRAIN_STAMP) $(AZURITE_STAMP)
	cargo test --no-run

PYTEST := -m pytest -q -p no:cacheprovider

rows: $(STAMP)
	$(PYTHON) $(PYTEST) tests/read_back --ignore tests/read_back/test_buckets.py

rows-by-delta: $(DELTA_STAMP) $(AZURITE_STAMP)
	TASKLOOM_VIA=delta $(DELTA_VENV)/bin/python $(PYTEST) tests/read_back/test_engines.py tests/read_back/test_versions.py \
		tests/read_back/test_merges.py tests/read_back/test_forget.py tests/read_back/test_upgrade.py tests/read_back/test_buckets.py

trainers: $(TRAIN_STAMP)
	$(TRAIN_VENV)/bin/python $(PYTEST) tests/training

kernel:
	cargo test --lib --manifest-path tests/delta_kernel/Cargo.toml

module-tests: module
	$(PYTHON) $(PYTEST) tests/python

# The feature that counts tokens; its fifty crates take minutes to build, so it is no part of `make test`.
tokenizer:
	cargo test --lib --no-default-features --features tokenizer dataset

# The Python module with the program, as the tests install it.
module: $(STAMP)
	test -x $(TASKLOOM_BIN) || cargo build
	rm -rf target/module
	mkdir -p python/taskloom.data/scripts
	strip -o python/taskloom.data/scripts/taskloom $(TASKLOOM_BIN)
	PATH=$(CURDIR)/$(VENV)/bin:$$PATH maturin build --quiet --profile dev --manifest-path python/Cargo.toml --out target/module
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps target/module/taskloom-*.whl

# Wheels for Linux on x86-64 and aarch64 with the program in them, by zig's compiler, so that old systems can load them; into target/wheels.
WHEEL_TARGETS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
wheel:
	python3 -m venv target/wheel-tools
	target/wheel-tools/bin/python -m pip install --quiet --disable-pip-version-check maturin==1.16.0 cargo-zigbuild==0.24.1 ziglang==0.17.1
	for target in $(WHEEL_TARGETS); do \
		rustup target add $$target && mkdir -p python/taskloom.data/scripts && \
		export PATH=$(CURDIR)/target/wheel-tools/bin:$$PATH && \
		cargo zigbuild --release --bin taskloom --target $$target.2.17 && \
		cp $${CARGO_TARGET_DIR:-target}/$$target/release/taskloom python/taskloom.data/scripts/ && \
		maturin build --manifest-path python/Cargo.toml --target $$target --zig --compatibility manylinux2014 --out target/wheels || exit 1; done

announce:
	@echo 'make test: builds the program, runs the tests in Rust, then reads lakes back in DuckDB, Polars, Spark and pyarrow, from disk and from S3, trains on them, and runs the Python module on Spark and Ray.'
	@echo 'The first time it fetches crates and Python packages (4 GB; with what is built 20 GB of disk) into target, $(VENV) and so on. About 40 minutes on 2 cores, 30 after that.'

# A browser, for the page of `overview`.
browser:
	@command -v chromium >/dev/null || \
		{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null; } || \
		{ echo 'make test: needs Chromium (on Debian: apt install chromium)' >&2; exit 1; }

$(STAMP): $(REQUIREMENTS)
$(DELTA_STAMP): $(DELTA_REQUIREMENTS)
$(TRAIN_STAMP): $(TRAIN_REQUIREMENTS)
# All that trainers need stands in their list, so that nothing comes that only a graphics card uses.
$(TRAIN_STAMP): PIP_FLAGS := --no-deps
$(STAMP) $(DELTA_STAMP) $(TRAIN_STAMP):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'make test: needs python3, 3.11 or newer' >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' || \
		{ echo 'make test: needs venv and pip for python3 (on Debian: apt install python3-venv)' >&2; exit 1; }
	python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) $(foreach list,$^,-r $(list)) || \
		{ echo 'make test: pip could not install $^' >&2; exit 1; }
	@touch $@

$(AZURITE_STAMP):
	@command -v node npm >/dev/null || { echo 'make test: needs Node.js and npm (on Debian: apt install npm)' >&2; exit 1; }
	@npm install --prefix $(AZURITE) --no-save --no-package-lock --no-audit --no-fund --silent azurite@3.35.0 || \
		{ echo 'make test: npm could not install azurite' >&2; exit 1; }
	@touch $@

# Each feature must build without the others, and the core alone; who links it must not get numbers of another kind with it.
lint:
	cargo fmt --all --check
	cargo fmt --check --manifest-path tests/delta_kernel/Cargo.toml
	cargo clippy --workspace --all-targets -- -D warnings
	for features in '' api buckets simulate tokenizer cli cli,api cli,buckets cli,simulate; do \
		cargo clippy --lib --no-default-features --features "$$features" -- -D warnings || exit 1; done
	! cargo tree --no-default-features --edges normal,features --invert serde_json | grep arbitrary_precision
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

# The tests that draw what happens, many times over: a run is killed at 1,000 instants, runs meet in 3,000 orders, each operation fails in
# every way, 2,000 tasks of odd shapes come back. About 25 minutes.
soak:
	TASKLOOM_KILLS=1000 TASKLOOM_SCHEDULES=3000 TASKLOOM_EVERY=1 PROPTEST_CASES=2000 cargo test --test it -- \
		processes::a_process_that_is_killed disturbed_at_any schedules::whoever_meets schedules::merges_that_meet \
		restore::restore_gives_back merges::any_sequence

# How fast each room is, the peak memory of whole runs, and whole runs against DuckDB and Polars, with a chart; exports against
# Scale's client. Takes about an hour and a half on 2 cores, half of it to build, and 7 GB of memory for its files.
# What is measured stands apart: the benches of rooms build a program with features of their own in place of the one for release.
ROOM_BENCHES := rooms buckets instructions
bench: export TASKLOOM_BIN := $(CURDIR)/target/measured/taskloom
bench: $(STAMP)
	cargo build --release
	install -D $(or $(CARGO_TARGET_DIR),target)/release/taskloom $(TASKLOOM_BIN)
	cargo bench --no-run $(ROOM_BENCHES:%=--bench %) --bench floor
	cargo bench $(ROOM_BENCHES:%=--bench %)
	$(PYTHON) benches/whole_runs.py compare --chart benches/whole_runs.svg
	for what in floor scaling memory back merge; do $(PYTHON) benches/whole_runs.py $$what || exit 1; done
	$(PYTHON) benches/queries.py
	for what in speed attachments latency clients; do $(PYTHON) benches/export_runs.py $$what || exit 1; done

clean:
	cargo clean
	rm -rf $(VENV) $(DELTA_VENV) $(TRAIN_VENV) $(AZURITE)
