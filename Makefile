# make quickstart   set-up and the main job on real text
# make test         set-up and every test, as CI runs it
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench-accuracy help environment quickstart test kills bench-label bench-memory bench-jobs bench-serve bench-finetune bench-overload bench-same bench-worker soak audit cluster spark check format serve lock page fuzz

help:
	@sed -n 's/^# make/make/p' Makefile

environment:
	@$(PYTHON) bootstrap.py

quickstart: environment
	@$(BIN)/feedback quickstart

test: environment
	$(BIN)/python -m pytest -q

# make kills        labelling killed 200 times at random, and before its every step, and gone on with (half an hour; KILLS=n, SEED=other)
KILLS ?= 200
kills: environment
	KILLS=$(KILLS) SEED=$(SEED) $(BIN)/python -m pytest -q tests/test_kills.py

# make bench-label  labelling against other ways to run the model, on real texts (TEXTS="file ...", MODEL=folder, SIZES="1000 10000"; 15 minutes)
SIZES ?= 1000 10000 100000
bench-label: environment
	$(BIN)/python -m benchmarks.label $(TEXTS) $(if $(MODEL),--model $(MODEL)) --sizes $(SIZES)

# make bench-memory memory of labelling ten million rows against a hundred thousand, with a stub in place of inference
bench-memory: environment
	$(BIN)/python benchmarks/label_memory.py

# make bench-jobs   what requests feel of a job beside them: p99 with and without (MODEL=folder)
bench-jobs: environment
	$(BIN)/python -m benchmarks.jobs --model $(or $(MODEL),serving/model)

# make cluster      labelling on a local Ray cluster, a worker killed (installs the extra `cluster`)
cluster: environment
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[cluster]'
	$(BIN)/python -m pytest -q tests/test_cluster.py

# make spark        labelling inside Spark's mapInPandas, on a local Spark (needs Java: apt install default-jre-headless)
spark: environment
	$(BIN)/python -m pip install --quiet -c requirements.lock 'pyspark>=4'
	$(BIN)/python -m pytest -q tests/test_frames.py

# make check        format, lint, types: as pre-commit does it
check: environment
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: environment
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# make serve        answer over HTTP with the shipped model (MODEL=folder for another)
serve: environment
	$(BIN)/feedback serve $(if $(MODEL),--model $(MODEL))

# make bench-accuracy  the shipped model beside its targets, on rows that it was not trained on (FEEDBACK_DATA=folder of the public sets)
bench-accuracy: environment
	test -n "$(FEEDBACK_DATA)" || { echo "FEEDBACK_DATA: name the folder that holds the public sets (docs/sources.md)"; exit 2; }
	$(BIN)/feedback data import --all --from $(FEEDBACK_DATA) -o runs/rows
	$(BIN)/feedback data annotate --all --from $(FEEDBACK_DATA) -o runs/annotated.jsonl
	$(BIN)/feedback evaluate serving/model --config training/recipe/union.toml --set test_rows=40000 --set 'validation_sources=["corpus","annotated_*"]' --targets training/recipe/targets.toml --baseline

# make bench-finetune fine-tuning on a company's 2,000 rows and four tasks of its own: seconds, and figures beside the baseline (MODEL=folder)
bench-finetune: environment
	$(BIN)/python -m benchmarks.own_taxonomy $(if $(MODEL),--model $(MODEL))

# make bench-serve  what the framework costs over a bare Starlette application, bound 2; the service against other servers of the same
#                   checkpoint (MODEL=folder, TEXTS="file ..."; makes an environment of its own for infinity)
INFINITY := .venv-infinity/bin/infinity_emb
$(INFINITY):
	$(PYTHON) -m venv .venv-infinity
	.venv-infinity/bin/pip install -q -r benchmarks/infinity.txt
bench-serve: environment $(INFINITY)
	$(BIN)/python -m benchmarks.serve --model $(or $(MODEL),serving/model)
	$(BIN)/python -m benchmarks.rivals $(TEXTS) --model $(or $(MODEL),serving/model) --infinity $(INFINITY)

# make bench-overload  ten times the load that a small service can carry: goodput, waiting, memory
bench-overload: environment
	$(BIN)/python -m benchmarks.overload --model $(or $(MODEL),serving/model)

# make soak         an hour of mixed load: memory, files and threads must not grow (SECONDS=60 for a minute, RATE=n requests a second)
SECONDS ?= 3600
RATE ?= 10
soak: environment
	$(BIN)/python -m benchmarks.soak --model $(or $(MODEL),serving/model) --seconds $(SECONDS) --per-second $(RATE)

# make bench-same   the same answer over HTTP and by the command, and a control that shows changes (TEXTS="file ...", COUNT=100000)
COUNT ?= 100000
bench-same: environment
	$(BIN)/python -m benchmarks.same_answer $(TEXTS) --texts $(COUNT) --model $(or $(MODEL),serving/model)

# make bench-worker what a worker holds in memory, and the seconds from its start until it is ready (MODEL=folder)
bench-worker: environment
	$(BIN)/python -m benchmarks.memory_worker --model $(or $(MODEL),serving/model)

# make audit        known vulnerabilities of the locked packages (needs a network)
audit: environment
	$(BIN)/uvx 'pip-audit>=2.9' --requirement requirements.lock --no-deps --disable-pip --strict

# make lock         write the versions that are installed here to requirements.lock
lock:
	$(BIN)/python -m pip freeze --exclude-editable > requirements.lock

# make page         pictures of the page in three languages and two widths, in runs/screenshots (needs Chromium)
page: environment
	mkdir -p runs/screenshots
	FEEDBACK_SCREENSHOTS=runs/screenshots $(BIN)/python -m pytest -q tests/test_page.py

# make fuzz         schemathesis sends 10,000 requests to the service (CASES=n for another number; at most FUZZ_SECONDS, 3600)
CASES ?= 10000
FUZZ_SECONDS ?= 3600
SCHEMATHESIS := .venv-fuzz/bin/schemathesis
$(SCHEMATHESIS):
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/pip install -q schemathesis==4.32.5
fuzz: environment $(SCHEMATHESIS)
	$(BIN)/python tests/live_fuzz.py --schemathesis $(SCHEMATHESIS) --cases $(CASES) --seconds $(FUZZ_SECONDS)
