# Everything happens in .venv; `make demo` and `make test` set it up from the lock file the first time.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: demo test lint types contracts unit test-farm test-hosts hosts-next fuzz bench exam proto lock clean

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
	$(BIN)/pytest -m "not slow and not hosts"

# Real Ray clusters whose workers, nodes and drivers are killed; stubs on other runtimes.
test-farm: $(STAMP)
	$(BIN)/pytest -m slow

# The plugins in the real Krita, Blender and GIMP, which are installed from Debian's packages where they are not.
test-hosts: $(STAMP)
	tests/hosts/install.sh
	$(BIN)/pytest -m hosts tests/hosts

# The same in Krita 5.2, Blender 4.3 and GIMP 3.0, in a Debian 13 that is made below build/; needs root.
hosts-next: $(STAMP)
	tests/hosts/next/run.sh

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
	$(BIN)/python -m douga_training.bench.cutout

# The fixed examination of the weights, beside what needs no learning; writes BENCHMARKS.md and the weights' cards.
exam: $(STAMP)
	$(BIN)/python -m douga_training.exam

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
