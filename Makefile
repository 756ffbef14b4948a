# Everything a person or CI runs. `make help` lists the targets.
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
export UV_PROJECT_ENVIRONMENT := .venv
export VIRTUAL_ENV := $(CURDIR)/.venv

.DEFAULT_GOAL := help
.PHONY: help demo test coverage chromium pgbouncer pictures lint types format docs docs-site recording chaos chaos-cluster test-disks test-restarts test-upgrade fuzz soak quiet-hour bench lock clean bench-bars bench-latency bench-scale bench-micro bench-sink bench-flame test-deploy test-compose manifests test-docs release-check parity

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	@echo "Setting up: uv"
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

COMPILED := hatch_build.py dedup/core/_recogniser.pyx dedup/core/_json_bytes.pxi
.venv/%.installed: requirements/%.txt pyproject.toml $(COMPILED) | $(UV)
	@echo "Setting up: Python packages ($*)"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip install --quiet --require-hashes -r requirements/$*.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

CHOICE = $(if $(STRATEGY),--strategy $(STRATEGY)) $(if $(WINDOW),--window $(WINDOW)) $(if $(KIND),--window-kind $(KIND))
demo: .venv/local.installed ## broker, producer, worker, result compared with an oracle; ENTITY=orders|debezium STRATEGY=distinct WINDOW=10s KIND=sliding
	@$(BIN)/dedup demo $(if $(ENTITY),--example examples.$(ENTITY).demo) $(CHOICE)

test: lint types chromium pgbouncer .venv/dev.installed ## lint, types and every test; a skipped test fails
	@$(BIN)/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 1

# Apart from `test`: measuring doubles what Python costs.
coverage: export COVERAGE_FILE := $(CURDIR)/.cache/coverage/data
coverage: chromium pgbouncer .venv/dev.installed ## every test, and what share of lines and branches they run
	@rm -rf .cache/coverage && mkdir -p .cache/coverage
	@$(BIN)/coverage run -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 1
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

# promtool of the PATH, else that of Debian's package `prometheus`, unpacked here.
PROMTOOL ?= $(or $(shell command -v promtool),$(CURDIR)/.promtool/usr/bin/promtool)
$(CURDIR)/.promtool/usr/bin/promtool:
	@mkdir -p .promtool/package && cd .promtool/package && apt-get update -qq && apt-get download -qq prometheus
	@dpkg -x .promtool/package/prometheus_*.deb .promtool

# What tests run beside Python, from the system's packages: nothing is downloaded past them.
chromium pgbouncer: export PATH := $(PATH):/usr/sbin
chromium pgbouncer:
	@command -v $@ >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Setting up: $@" \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends $@ >/dev/null; \
	} || { echo "The tests need $@: install it with your system's packages" \
	  "(as root: apt-get install --no-install-recommends $@)."; exit 1; }

pictures: chromium .venv/dev.installed ## write the pictures of the pages in docs/images
	@$(BIN)/python -m pytest -q tests/web/test_browser.py -k pictures --pictures docs/images

lint: .venv/dev.installed ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/dev.installed ## mypy --strict on packages and tests
	@$(BIN)/mypy

format: .venv/dev.installed ## write the format ruff checks
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

# PyFlink pins old packages and carries a whole Flink: it never shares the worker's environment.
FLINK := .venv-flink
$(FLINK)/flink.installed: requirements/flink.txt deploy/flink/jars.py deploy/flink/ProductPartitioner.java .venv/dev.installed
	@echo "Setting up: Flink"
	@test -x $(FLINK)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(FLINK)
	@VIRTUAL_ENV=$(CURDIR)/$(FLINK) $(UV) pip install --quiet --require-hashes -r requirements/flink.txt
	@$(BIN)/python deploy/flink/jars.py $$($(FLINK)/bin/python -c 'import pyflink; print(pyflink.__path__[0])')/lib
	@touch $@

parity: .venv/dev.installed $(FLINK)/flink.installed ## worker and Flink SQL, held against each other; SEED=1
	@$(BIN)/python -m tests.parity --seed $(or $(SEED),1)

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
lock: | $(UV) ## write the locked, hashed requirements
	@echo "uv==$$($(UV) --version | cut -d' ' -f2)" | $(COMPILE) - -o requirements/uv.txt
	@$(COMPILE) pyproject.toml -o requirements/base.txt
	@$(COMPILE) --group build -o requirements/build.txt
	@$(COMPILE) pyproject.toml --extra local --group build -o requirements/local.txt
	@$(COMPILE) pyproject.toml --extra postgres -o requirements/postgres.txt
	@$(COMPILE) pyproject.toml --extra local --extra postgres --group dev -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --extra local --extra postgres --group fuzz -o requirements/fuzz.txt
	@$(COMPILE) pyproject.toml --extra local --extra postgres --group deploy -o requirements/deploy.txt
	@$(COMPILE) pyproject.toml --extra local --extra postgres --group bench -o requirements/bench.txt
	@$(COMPILE) --group pyproject.toml:peers -o requirements/peers.txt
	@$(COMPILE) --group pyproject.toml:docs -o requirements/docs.txt
	@$(COMPILE) --group flink -o requirements/flink.txt

docs: .venv/dev.installed ## write docs that come from the code and from results
	@$(BIN)/python -m docs.generate.configuration > docs/configuration.md
	@$(BIN)/python -m docs.generate.openapi > docs/openapi.json
	@$(BIN)/python -m docs.generate.strategies docs/images
	@$(BIN)/python -m benchmarks.documents

DOCS := .venv-docs
$(DOCS)/docs.installed: requirements/docs.txt | $(UV)
	@echo "Setting up: Python packages (docs)"
	@$(UV) venv --quiet --clear --python $(PYTHON) $(DOCS)
	@VIRTUAL_ENV=$(CURDIR)/$(DOCS) $(UV) pip install --quiet --require-hashes -r requirements/docs.txt
	@touch $@

# The pages keep their places in the repository, so a link that works on GitHub works on the site.
SITE_PAGES := *.md LICENSE docs benchmarks/results deploy/k8s/README.md examples/*/README.md tests/deploy/README.md
docs-site: $(DOCS)/docs.installed ## build the documentation site in .cache/site; a broken link fails
	@rm -rf .cache/site-pages && mkdir -p .cache/site-pages
	@tar cf - $$(git ls-files --cached --others --exclude-standard $(SITE_PAGES)) | tar xf - -C .cache/site-pages
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@echo "Built: .cache/site/index.html"

recording: .venv/local.installed $(DOCS)/docs.installed ## record `make demo` as docs/images/demo.svg
	@$(DOCS)/bin/python -m docs.generate.recording docs/images/demo.svg

chaos: .venv/dev.installed ## kill workers on a real broker; SEED=1 RUNS=1 FOR_S=120; a strategy by seed, or STRATEGY=distinct
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --runs $(or $(RUNS),1) --seconds $(or $(FOR_S),120) $(CHOICE) $(if $(RESULT),--result $(RESULT))

.cache/chaos/toxiproxy: tests/chaos/network_tools/go.mod tests/chaos/network_tools/go.sum
	@command -v go >/dev/null || { echo "Go is needed to build $(@F)"; exit 1; }
	@echo "Setting up: $(@F)"
	@cd tests/chaos/network_tools && go build -o $(CURDIR)/$@ tool

chaos-cluster: .venv/dev.installed .cache/chaos/toxiproxy ## the same on three brokers that are rolled and moved; needs Go; SEED=1 RUNS=1 FOR_S=60 RESULT=FILE
	@$(BIN)/python -m pytest -q tests/chaos/network_suite.py
	@$(BIN)/python -m tests.chaos --brokers 3 --seed $(or $(SEED),1) --runs $(or $(RUNS),1) --seconds $(or $(FOR_S),60) $(CHOICE) $(if $(RESULT),--result $(RESULT))

test-restarts: .venv/dev.installed ## restart the broker three times under two workers; ARGS="--restarts 1 --keep DIR"
	@$(BIN)/python -m tests.chaos.restarts $(ARGS)

fuzz: .venv/fuzz.installed ## a million inputs at the readers, coverage-guided; corpus in .fuzz/
	@$(BIN)/python -m tests.fuzz.atheris_read

.cache/deploy/%: tests/deploy/kubernetes_tools/go.sum
	@command -v go >/dev/null || { echo "Go is needed to build $*"; exit 1; }
	@echo "Setting up: $*"
	@cd tests/deploy/kubernetes_tools && GOBIN=$(CURDIR)/.cache/deploy go install tool
	@touch $@

.cache/deploy/docker-compose: tests/deploy/compose_tools/go.sum
	@echo "Setting up: docker-compose"
	@cd tests/deploy/compose_tools && go build -o $(CURDIR)/$@ github.com/docker/compose/v5/cmd

.cache/deploy/actionlint: tests/deploy/workflow_tools/go.sum
	@echo "Setting up: actionlint"
	@cd tests/deploy/workflow_tools && go build -o $(CURDIR)/$@ github.com/rhysd/actionlint/cmd/actionlint

DEPLOY_TOOLS := $(addprefix .cache/deploy/,kustomize kubeconform docker-compose actionlint)
test-deploy: .venv/deploy.installed $(PROMTOOL) $(DEPLOY_TOOLS) ## manifests, alerts, images' recipes, workflows; needs Go
	@PROMTOOL=$(PROMTOOL) $(BIN)/python -m pytest -q tests/deploy deploy

manifests: .venv/deploy.installed .cache/deploy/kustomize ## write deploy/k8s/*.yaml, for `kubectl apply -f`; needs Go
	@.cache/deploy/kustomize build deploy/k8s/overlays/confluent | $(BIN)/python -m deploy.k8s.single_files

test-compose: .venv/dev.installed .cache/deploy/docker-compose ## run docker-compose.yml; IMAGES=stand-in|real
	@IMAGES=$(or $(IMAGES),stand-in) $(BIN)/python -m pytest -q -o faulthandler_timeout=2000 tests/deploy/compose_suite.py

test-docs: .venv/dev.installed ## run the commands of README and docs from a clean clone
	@$(BIN)/python -m tests.docs

release-check: .venv/dev.installed ## version, changelog, wheel and its commands agree; dist/ then has it
	@$(BIN)/python -m tests.deploy.release_check

test-disks: .venv/dev.installed ## a disk that takes no writes; needs root and a loop device
	@$(BIN)/python -m pytest -q tests/disks

test-upgrade: .venv/dev.installed ## workers of an earlier release and of today in one group; needs git's history
	@$(BIN)/python -m pytest -q --timeout 900 -o faulthandler_timeout=1000 tests/upgrade/suite.py

soak: .venv/bench.installed ## 30 minutes at 5,000 events/s; FOR_S=1800 RATE=5000
	@$(BIN)/python -m benchmarks.soak --seconds $(or $(FOR_S),1800) --rate $(or $(RATE),5000)

quiet-hour: .venv/bench.installed ## an hour at 1,000 events/s leaves no WARNING; FOR_S=3600 RATE=1000
	@$(BIN)/python -m benchmarks.quiet_hour --seconds $(or $(FOR_S),3600) --rate $(or $(RATE),1000)

.venv-peers/peers.installed: requirements/peers.txt | $(UV)
	@echo "Setting up: Python packages (peers)"
	@$(UV) venv --quiet --clear --python $(PYTHON) .venv-peers
	@VIRTUAL_ENV=$(CURDIR)/.venv-peers $(UV) pip install --quiet --require-hashes -r requirements/peers.txt
	@touch $@

# The package as it is installed where no C compiler is. It is built from a copy, because a build
# removes the compiled module of its own tree.
PURE := .venv-pure
$(PURE)/pure.installed: requirements/local.txt pyproject.toml hatch_build.py $(wildcard dedup/*.py dedup/*/*.py dedup/core/*.p* producer/*.py) | $(UV)
	@echo "Setting up: the package in Python alone"
	@rm -rf $(PURE) && $(UV) venv --quiet --python $(PYTHON) $(PURE) && mkdir $(PURE)/source
	@VIRTUAL_ENV=$(CURDIR)/$(PURE) $(UV) pip install --quiet --require-hashes -r requirements/local.txt
	@tar cf - --exclude '*.so' --exclude __pycache__ dedup producer pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE | tar xf - -C $(PURE)/source
	@PRODUCT_DEDUP_BUILD=pure VIRTUAL_ENV=$(CURDIR)/$(PURE) $(UV) pip install --quiet --no-deps --no-build-isolation ./$(PURE)/source
	@touch $@

BENCHED := .venv/bench.installed .venv-peers/peers.installed $(PURE)/pure.installed $(FLINK)/flink.installed
bench: $(BENCHED) ## all contenders and inputs, 7 h; ARGS=--quick 40 min; ARGS="--resume DATE"
	@$(BIN)/python -m benchmarks $(ARGS)

bench-bars: .venv/dev.installed ## which bars hold, by the result files
	@$(BIN)/python -m benchmarks.bars

bench-latency: .venv/bench.installed ## p50, p99, p99.9 from event to row at 100 to 20,000 events/s
	@$(BIN)/python -m benchmarks.latency $(ARGS)

bench-scale: .venv/bench.installed ## growth with products, partitions, workers; recovery; memory
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-sink: .venv/bench.installed ## rows/s into PostgreSQL, beside Kafka Connect; needs mvn; ARGS="--rows 100000"
	@$(BIN)/python -m benchmarks.sink $(ARGS)

bench-flame: .venv/bench.installed ## where the worker's time goes: shares and a flame graph
	@$(BIN)/python -m benchmarks.flame $(ARGS)

bench-micro: .venv/bench.installed ## each step of the core, by pyperf; ARGS=--short is what CI prints
	@$(BIN)/python -m benchmarks.micro $(ARGS)

clean: ## remove what the targets made
	rm -rf .venv .venv-docs .venv-peers .venv-pure .venv-flink .uv .promtool benchmarks/kafka-streams/target benchmarks/kafka-connect/target .mypy_cache .pytest_cache .ruff_cache .hypothesis
