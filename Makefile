# Everything happens in .venv; `make demo` and `make test` set it up from the lock file the first time.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: demo test lint types contracts unit test-farm fuzz bench proto lock clean

demo: $(STAMP)
	$(BIN)/douga reconstruct examples/frame.png --out demo-out --overwrite
	@echo
	@echo "Open these:"
	@echo "  demo-out/classes/frame.png   the douga: one colour a class"
	@echo "  demo-out/cel/frame.png       the cel, cut out"
	@echo "  demo-out/layers/frame.ora    everything as layers (Krita, GIMP, MyPaint)"
	@echo "  demo-out/douga/frame.tga     one-pixel trace lines for RETAS"

test: lint types contracts unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -m "not slow"

# Real Ray clusters whose workers, nodes and drivers are killed; stubs on other runtimes.
test-farm: $(STAMP)
	$(BIN)/pytest -m slow

# The contract was edited: rebuild the stubs; refuses what would break who has them.
proto: $(STAMP)
	$(BIN)/python proto/generate.py
	$(BIN)/python plugins/client/generate_contract.py

# A million mutated inputs; what breaks something is kept in build/fuzz and can be played again.
fuzz: $(STAMP)
	$(BIN)/python tests/attack/fuzz_decoder.py messages 500000 build/fuzz
	$(BIN)/python tests/attack/fuzz_decoder.py planes 500000 build/fuzz
	$(BIN)/python tests/attack/fuzz_calls.py 30000 build/fuzz

bench: $(STAMP)
	$(BIN)/python -m douga_training.bench

# Rewrites the pinned versions from pyproject.toml.
lock: $(STAMP)
	$(BIN)/uv pip compile pyproject.toml --group dev --extra farm --universal --no-emit-index-url --no-header \
		--no-annotate --quiet --output-file requirements.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --requirement requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf .venv demo-out
