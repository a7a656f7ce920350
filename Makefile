# Everything a developer or an operator does with this repository. `make help` lists it.
# Node comes from tools/node (pinned), so that what is tested is what runs on a host.

ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
NODE_DIR := $(CURDIR)/tools/node/node_modules/node-linux-$(ARCH)
NODE := $(NODE_DIR)/bin/node
BIN := $(CURDIR)/node_modules/.bin
export PATH := $(NODE_DIR)/bin:$(BIN):$(PATH)
export COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

# Containers, consoles and namespaces are root's.
AS_ROOT := $(if $(filter 0,$(shell id -u)),env,sudo --preserve-env env) PATH="$$PATH"
SERVICE := $(NODE) --disable-sigusr1 src/ecs-host-service.ts
IMAGE_PROGRAM := build/streaming-server
BUNDLE := build/bundle/ecs-host-service.mjs
SOURCES := $(shell git ls-files '*.ts' package.json)

.DEFAULT_GOAL := build
.PHONY: build run rundev runstaging runprod demo test bench soak check types lint format clean help docker

build: $(BUNDLE) $(IMAGE_PROGRAM) ## Install what is missing and build the bundle and the demo image's program

run: | node_modules/.stamp ## Run the service in localdev, until Ctrl-C
	@$(AS_ROOT) APP_ENV=localdev $(SERVICE) run

rundev: | node_modules/.stamp ## Run the service in the dev environment
	@$(AS_ROOT) APP_ENV=dev $(SERVICE) run

runstaging: | node_modules/.stamp ## Run the service in the staging environment
	@$(AS_ROOT) APP_ENV=staging $(SERVICE) run

runprod: | node_modules/.stamp ## Run the service in the production environment
	@$(AS_ROOT) APP_ENV=production $(SERVICE) run

demo: docker $(IMAGE_PROGRAM) | node_modules/.stamp ## Show the main job: two containers, from beginning to end
	@$(AS_ROOT) $(NODE) scripts/demo.ts

test: docker $(IMAGE_PROGRAM) $(BUNDLE) | node_modules/.stamp ## Run all tests, or those in FILES="test/…"
	@$(AS_ROOT) $(NODE) test/run.ts $(FILES)

bench: docker $(IMAGE_PROGRAM) | node_modules/.stamp ## Measure side by side, print ratios; all, or those in ONLY="spin-up …"
	@$(AS_ROOT) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/bench/run.ts $(ONLY); \
	status=$$?; biome format --write bench/results.json bench/RESULTS.md > /dev/null; exit $$status

soak: docker $(IMAGE_PROGRAM) | node_modules/.stamp ## Host CONTAINERS=10000 in one process, and see that nothing grows
	@$(AS_ROOT) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/bench/soak.ts $(CONTAINERS)

check: lint types ## Check format, lint, types, and that imports keep to their floors
	@$(NODE) test/run.ts test/unit/architecture.test.ts

lint: | node_modules/.stamp ## Check format and lint
	@biome check --error-on-warnings . && oxlint --type-aware --deny-warnings

types: | node_modules/.stamp ## Check types
	@tsc --project .

format: | node_modules/.stamp ## Format the code and mend what can be mended
	@biome check --write .

clean: ## Remove everything that was built or installed here
	rm -rf build node_modules tools/node/node_modules

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

docker:
	@$(AS_ROOT) scripts/install-docker.sh

$(BUNDLE): $(SOURCES) | node_modules/.stamp
	@$(NODE) scripts/bundle.ts $(@D)

$(IMAGE_PROGRAM): test/image/streaming-server.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -o $@ $<

node_modules/.stamp: package.json package-lock.json .npmrc | $(NODE)
	@echo "Installing npm packages (once) …"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(NODE): tools/node/package.json tools/node/package-lock.json
	@echo "Installing the pinned Node (once) …"
	@npm ci --prefix tools/node --no-audit --no-fund --loglevel=error
	@test -x $@ || { echo "npm could not fetch node-linux-$(ARCH); see that it reaches its registry, then run make again." >&2; exit 1; }
	@touch $@
