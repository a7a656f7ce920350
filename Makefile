# Everything that a developer or an operator does with this repository. `make help` lists it.
# Node comes from tools/node, pinned, so that the tests use the Node that runs on a host.

ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
NODE_DIR := $(CURDIR)/tools/node/node_modules/node-linux-$(ARCH)
NODE := $(NODE_DIR)/bin/node
BIN := $(CURDIR)/node_modules/.bin
# The addon must also load on the next major version of Node, and the packages must also run on the oldest supported one.
OTHER_NODES := $(foreach line,26 22,$(CURDIR)/tools/node-$(line)/node_modules/node-linux-$(ARCH)/bin/node)
export PATH := $(NODE_DIR)/bin:$(BIN):$(PATH)
# Computed once, not for each line of a recipe.
export COMMIT := $(or $(COMMIT),$(shell git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null || echo unknown))
export BRANCH := $(or $(BRANCH),$(shell git branch --show-current 2>/dev/null))
export SOURCE_DATE_EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || echo 0))

# Containers, consoles and namespaces need root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),env,sudo --preserve-env env) PATH="$$PATH"
INSTALL := $(AS_ROOT) scripts/install-packages.sh
PROGRAM := $(NODE) --disable-sigusr1 --max-semi-space-size=2 --max-old-space-size=512 src/ecs-host-service.ts
# Without systemd, the launcher watches the service.
LAUNCHER := build/launcher
SERVICE := $(LAUNCHER) $(PROGRAM) run -- $(PROGRAM) bury
IMAGE_PROGRAMS := build/streaming-server build/input-program build/port-program build/hostile-neighbour
# Programs that the tests of attacks run in containers.
ATTACKERS := build/seccomp-probe build/link-swapper build/console-opener build/network-attack build/cgroup-attack
# The programs in the guest besides the bundle.
GUEST_PROGRAMS = $(IMAGE_PROGRAMS) build/bare-input $(TARBALL)
ADDON := build/uinput-linux-$(ARCH).node
ADDONS := build/uinput-linux-x64.node build/uinput-linux-arm64.node
# The npm packages, as npm would publish them.
PACKAGES := build/packages/.stamp
# The web console, as the service serves it.
CONSOLE := build/console-files.json
# Simulates AWS for tests.
MINISTACK := tools/aws/.venv/.stamp
BUNDLE := build/bundle/ecs-host-service.mjs
EXECUTABLE := build/ecs-host-service
# The release tool as an executable, for machines without Node.
RELEASE_TOOL := build/ecs-release
# The entry point for images whose programs get their identity from Secrets Manager.
ENTRYPOINT := build/ecs-entrypoint
VERSION := $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
TARBALL := build/ecs-host-service-$(VERSION)-linux-$(ARCH).tar.gz
# The addon is built for both architectures. The compiler for the other one comes from the distribution.
CC_x64 := $(if $(filter x64,$(ARCH)),$(CC),x86_64-linux-gnu-gcc)
CC_arm64 := $(if $(filter arm64,$(ARCH)),$(CC),aarch64-linux-gnu-gcc)
C_FLAGS := -std=gnu17 -O2 -Wall -Wextra -Werror
SOURCES := $(shell git ls-files '*.ts' package.json)

.DEFAULT_GOAL := build
.PHONY: build upload run rundev runstaging runprod demo test bench soak chaos fuzz mutants kill-node node-docs audit record-ci record-endurance check types lint format clean help docker cross-compiler guest-tools config-tools config-readers shell test-vm demo-input demo-configs demo-bridge demo-operator demo-release release-tool demo-nodes docker-cli compose registry sudo zsh docs packages
.PHONY: seed-iso seed-tools browser chaos-nodes upgrades chaos-upgrades console console-pictures demo-console

build: $(TARBALL) ## Build the executable, and the tarball with everything that is installed on a host

seed-iso: seed-tools $(TARBALL) ## Make an ISO that sets up a virtual machine as a host: SETTINGS=FILE, and SECRETS= NODES= SSH_KEY= IMAGES= OUTPUT=
	@$(NODE) scripts/seed-iso.ts --tarball $(TARBALL) --output $(or $(OUTPUT),build/seed.iso) --settings "$(SETTINGS)" \
	  --secrets "$(SECRETS)" --nodes "$(NODES)" --ssh-key "$(SSH_KEY)" --images "$(IMAGES)"

upload: $(TARBALL) ## Upload the executable and the tarball to S3, under the commit and the branch
	@$(NODE) scripts/upload.ts $(EXECUTABLE) $(TARBALL)

run: config-tools $(CONSOLE) $(ADDON) $(LAUNCHER) build/seccomp.json | node_modules/.stamp ## Run the service in localdev, until Ctrl-C
	@$(AS_ROOT) APP_ENV=localdev $(SERVICE)

rundev: config-tools $(CONSOLE) $(ADDON) $(LAUNCHER) build/seccomp.json | node_modules/.stamp ## Run the service in the dev environment
	@$(AS_ROOT) APP_ENV=dev $(SERVICE)

runstaging: config-tools $(CONSOLE) $(ADDON) $(LAUNCHER) build/seccomp.json | node_modules/.stamp ## Run the service in the staging environment
	@$(AS_ROOT) APP_ENV=staging $(SERVICE)

runprod: config-tools $(CONSOLE) $(ADDON) $(LAUNCHER) build/seccomp.json | node_modules/.stamp ## Run the service in the production environment
	@$(AS_ROOT) APP_ENV=production $(SERVICE)

demo: docker $(IMAGE_PROGRAMS) $(ADDON) build/seccomp.json | node_modules/.stamp ## Demonstrate the main function: two containers from beginning to end
	@$(AS_ROOT) $(NODE) scripts/demo.ts

demo-configs: docker config-tools $(IMAGE_PROGRAMS) $(ADDON) build/seccomp.json | node_modules/.stamp ## Demonstrate that a user's files outlive their container and an outage of S3
	@$(AS_ROOT) $(NODE) scripts/demo-configs.ts

demo-bridge: docker-cli config-tools $(IMAGE_PROGRAMS) $(ADDON) build/seccomp.json | node_modules/.stamp ## Demonstrate how Docker's command line makes interactive containers, without ECS
	@$(AS_ROOT) $(NODE) scripts/demo-bridge.ts

demo-operator: docker shell $(ADDON) build/seccomp.json | node_modules/.stamp ## Demonstrate the operator's command line: make, list, watch, enter and stop containers, and read their receipts
	@$(AS_ROOT) $(NODE) scripts/demo-operator.ts

demo-nodes: docker shell $(ADDON) build/seccomp.json | node_modules/.stamp ## Demonstrate managed nodes: an edit, a rollback, a restart of the service that affects no node, and another container left alone
	@$(AS_ROOT) $(NODE) scripts/demo-nodes.ts

demo-input: guest-tools $(GUEST_PROGRAMS) $(BUNDLE) | node_modules/.stamp ## Demonstrate the containers' own input devices, in a guest with a real uinput
	@$(AS_ROOT) $(NODE) test/vm/boot.ts demo-input.ts

demo-release: docker-cli shell $(MINISTACK) | node_modules/.stamp ## Demonstrate the release tool: a deploy with real containers, a release that is rolled back, a task, a shell in a task, and the history
	@$(AS_ROOT) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/packages/release/test/integration/demo-release.ts

release-tool: $(RELEASE_TOOL) ## Build the release tool as one executable

test: docker-cli compose registry sudo zsh shell browser cross-compiler config-tools config-readers $(CONSOLE) $(IMAGE_PROGRAMS) $(ATTACKERS) build/seccomp.json $(LAUNCHER) build/notify-receiver $(EXECUTABLE) $(ADDONS) $(OTHER_NODES) $(PACKAGES) $(MINISTACK) tools/typedoc/node_modules/.stamp | node_modules/.stamp ## Run all tests, or those in FILES="test/…"
	@$(AS_ROOT) $(NODE) test/run.ts $(FILES)

test-vm: guest-tools $(GUEST_PROGRAMS) $(BUNDLE) | node_modules/.stamp ## Run the tests that need a host like one in EC2, in a guest: all, or those in FILES="test/vm/…"
	@$(AS_ROOT) $(NODE) test/vm/boot.ts run.ts $(FILES)

bench: docker-cli shell browser guest-tools config-tools config-readers $(LAUNCHER) $(GUEST_PROGRAMS) $(BUNDLE) $(EXECUTABLE) $(MINISTACK) $(PACKAGES) $(RELEASE_TOOL) | node_modules/.stamp ## Measure both sides of each comparison in turns, in RUNS=3 runs, and print their ratios: all, or those in ONLY="spin-up …"
	@$(AS_ROOT) RUNS=$(or $(RUNS),3) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/bench/run.ts $(ONLY); \
	status=$$?; biome format --write bench/results.json bench/RESULTS.md > /dev/null; exit $$status

soak: docker $(IMAGE_PROGRAMS) $(ADDON) build/seccomp.json | node_modules/.stamp ## Host CONTAINERS=10000 in one process, and check that nothing grows
	@$(AS_ROOT) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/bench/soak.ts $(CONTAINERS)

chaos: docker config-tools $(IMAGE_PROGRAMS) $(LAUNCHER) $(BUNDLE) | node_modules/.stamp ## Make the service die at every step, DEATHS=60 times in total, and check that nothing leaks
	@ulimit -c 0; $(AS_ROOT) TEST_NODE=$(NODE) TEST_SERVICE=$(CURDIR)/$(BUNDLE) test/support/own-host.sh $(CURDIR)/test/chaos/chaos.ts $(or $(DEATHS),60) $(SEED) $(DEATH)

chaos-nodes: docker shell $(ADDON) build/seccomp.json | node_modules/.stamp ## Kill the service and Docker DEATHS=40 times while they replace nodes; SEED repeats a sequence
	@$(AS_ROOT) NODE_DEATHS=$(or $(DEATHS),40) $(NODE) test/run.ts test/chaos/nodes.test.ts

upgrades: docker shell config-tools $(LAUNCHER) $(ADDON) build/seccomp.json | node_modules/.stamp ## Upgrade a busy host with 20 containers COUNT=50 times, and check that nothing is lost
	@$(AS_ROOT) UPGRADES=$(or $(COUNT),50) $(NODE) test/run.ts test/integration/hand-over-busy-host.test.ts

chaos-upgrades: docker config-tools $(IMAGE_PROGRAMS) $(LAUNCHER) $(ADDON) build/seccomp.json | node_modules/.stamp ## Kill the old or the new service, the launcher, bury or Docker at every step of an upgrade, or at DEATHS=20 of them; ONLY="new: docker" selects steps, SEED repeats a sequence
	@$(AS_ROOT) DEATHS=$(or $(DEATHS),1000) ONLY="$(ONLY)" $(NODE) test/run.ts test/chaos/upgrades.test.ts

fuzz: docker config-tools $(IMAGE_PROGRAMS) $(ADDON) $(LAUNCHER) build/seccomp.json | node_modules/.stamp ## Send INPUTS=100000 almost valid inputs to every parser of external bytes, or to ONLY="https archives …"
	@$(AS_ROOT) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/test/fuzz/fuzz.ts $(or $(INPUTS),100000) $(ONLY)

console: $(CONSOLE) ## Build the web console, which the service serves at /console

console-pictures: docker shell browser $(CONSOLE) $(ADDON) build/seccomp.json | node_modules/.stamp ## Make the screenshots of the web console in docs/console
	@$(AS_ROOT) TEST_NODE=$(NODE) test/support/own-host.sh $(CURDIR)/scripts/console-pictures.ts docs/console

demo-console: docker shell $(CONSOLE) $(ADDON) build/seccomp.json | node_modules/.stamp ## Demonstrate the web console: a host with containers, at an address for your browser, until Ctrl-C
	@$(AS_ROOT) $(NODE) scripts/demo-console.ts

packages: $(PACKAGES) ## Build and pack the npm packages, check their versions and changelogs, and rehearse their publication

mutants: tools/stryker/node_modules/.stamp $(ADDON) | node_modules/.stamp ## Change the critical parts of the code, or those in PARTS="ledger …", in small ways, and check that a unit test fails each time
	@$(NODE) scripts/mutants.ts $(PARTS)

kill-node: | node_modules/.stamp ## Kill a program that uses the node library KILLS=100 times while it handles MESSAGES=10000
	@KILLS=$(or $(KILLS),100) MESSAGES=$(or $(MESSAGES),10000) $(NODE) test/run.ts packages/echostream-node/test/kill.test.ts

audit: $(BUNDLE) ## Check the third-party packages for licences, hashes and known vulnerabilities
	@$(NODE) scripts/audit.ts $(<D)/LICENCES.txt

record-ci: | node_modules/.stamp ## Run everything that a change must pass on a clean clone, under load with LOAD=busy, and commit the result
	@$(NODE) scripts/record-ci.ts $(LOAD)

record-endurance: | node_modules/.stamp ## Run KIND=chaos, soak or fuzz with COUNT=200 deaths, containers or inputs, and commit the result
	@$(NODE) scripts/record-endurance.ts $(or $(KIND),chaos) $(or $(COUNT),200)

check: lint types ## Check format, lint, types, and that no import goes up a floor
	@$(NODE) test/run.ts test/unit/architecture.test.ts

lint: | node_modules/.stamp ## Check format and lint
	@biome check --error-on-warnings . && oxlint --type-aware --deny-warnings
	@$(INSTALL) shellcheck:shellcheck
	@git ls-files '*.sh' ecs-host-service | xargs shellcheck

types: | node_modules/.stamp ## Check types
	@tsc --project .
	@tsc --project packages/console

format: | node_modules/.stamp ## Format the code and apply automatic fixes
	@biome check --write .

API_TYPES := packages/api-client/src/api-types.ts
docs: tools/openapi/node_modules/.stamp | node_modules/.stamp ## Generate the pages, schemas and types that come from the code
	@$(NODE) scripts/settings-doc.ts docs/settings.md
	@$(NODE) scripts/accepted-doc.ts docs/security.md
	@$(NODE) scripts/openapi.ts httpserver/v1/openapi.json
	@$(NODE) scripts/nodes-schema.ts docs/nodes.schema.json
	@$(NODE) scripts/api-doc.ts docs/api.md docs/cli.md
	@tools/openapi/node_modules/.bin/openapi-typescript httpserver/v1/openapi.json --output $(API_TYPES) > /dev/null
	@$(NODE) scripts/release-schema.ts > packages/release/ecs-release.schema.json
	@biome check --write docs/nodes.schema.json docs/settings.md docs/api.md docs/cli.md docs/security.md httpserver/v1/openapi.json $(API_TYPES) packages/release/ecs-release.schema.json
	@sed -i "1i // Of the openapi.json with the SHA-256 $$(sha256sum < httpserver/v1/openapi.json | cut -d' ' -f1)." $(API_TYPES)

node-docs: tools/typedoc/node_modules/.stamp | node_modules/.stamp ## Generate the API pages of the node library in build/node-library
	@cd packages/echostream-node && $(CURDIR)/tools/typedoc/node_modules/.bin/typedoc --out $(CURDIR)/build/node-library

clean: ## Remove everything that was built or installed here
	rm -rf build node_modules tools/*/node_modules tools/*/.venv packages/*/dist

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

# Every machine also builds and inspects the addon for the other architecture.
CROSS_x64 := aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/stdio.h:libc6-dev-arm64-cross
CROSS_arm64 := x86_64-linux-gnu-gcc:gcc-x86-64-linux-gnu /usr/x86_64-linux-gnu/include/stdio.h:libc6-dev-amd64-cross
cross-compiler:
	@$(INSTALL) $(CROSS_$(ARCH))

guest-tools:
	@$(INSTALL) qemu-system-x86_64:qemu-system-x86 debootstrap:debootstrap mke2fs:e2fsprogs flock:util-linux

seed-tools:
	@$(INSTALL) xorriso:xorriso dpkg-deb:dpkg

config-tools:
	@$(INSTALL) zstd:zstd lz4:lz4

# Other programs that read and write the formats of a user config.
config-readers:
	@$(INSTALL) age:age setfattr:attr openssl:openssl

docker:
	@$(INSTALL) dockerd:docker.io iptables:iptables ip:iproute2 flock:util-linux

# In some releases, the package docker.io already contains it.
docker-cli: docker
	@$(INSTALL) docker:docker-cli

# For images with a shell.
shell:
	@$(INSTALL) /bin/busybox:busybox-static

browser: build/no-netlink.so
	@$(INSTALL) chromium:chromium

# A second registry besides the one in ministack.
registry:
	@$(INSTALL) docker-registry:docker-registry

zsh:
	@$(INSTALL) zsh:zsh

compose:
	@$(INSTALL) docker-compose:docker-compose

sudo:
	@$(INSTALL) sudo:sudo

$(CONSOLE): $(shell git ls-files packages/console packages/api-client) scripts/console.ts package-lock.json | node_modules/.stamp
	@mkdir -p $(@D) && $(NODE) scripts/console.ts $@

$(BUNDLE): $(SOURCES) $(ADDON) $(CONSOLE) build/seccomp.json | node_modules/.stamp
	@$(NODE) scripts/bundle.ts $(@D)
	@cp $(CONSOLE) $(@D)
	@cp $(ADDON) $(@D)
	@cp node_modules/node-pty/prebuilds/linux-$(ARCH)/pty.node $(@D)/pty-linux-$(ARCH).node

$(PACKAGES): $(shell git ls-files packages) tsconfig.json scripts/packages.ts | node_modules/.stamp
	@$(NODE) scripts/packages.ts $(@D)
	@touch $@

$(EXECUTABLE): $(BUNDLE)
	@echo "Building $@ …"
	@$(NODE) scripts/executable.ts $(<D) $@

$(RELEASE_TOOL): $(shell git ls-files packages/release) | node_modules/.stamp
	@echo "Building $@ …" && mkdir -p $(@D)
	@$(NODE) packages/release/scripts/release-executable.ts $@

$(ENTRYPOINT): $(shell git ls-files packages/release) | node_modules/.stamp
	@echo "Building $@ …" && mkdir -p $(@D)
	@$(NODE) packages/release/scripts/entrypoint-executable.ts $@

$(TARBALL): $(EXECUTABLE) build/seccomp.json $(wildcard packaging/*) LICENSE scripts/tarball.ts
	@echo "Building $@ …"
	@$(NODE) scripts/tarball.ts $(EXECUTABLE) $(dir $(BUNDLE))LICENCES.txt build/seccomp.json $@

$(IMAGE_PROGRAMS) $(ATTACKERS): build/%: test/image/%.c
	@echo "Building $@ …" && mkdir -p $(@D)
	@$(CC) $(C_FLAGS) -static -o $@ $<

build/bare-input: bench/guest/bare-input.c
$(LAUNCHER): launcher/launcher.c
build/notify-receiver: test/support/notify-receiver.c
build/bare-input $(LAUNCHER) build/notify-receiver:
	@echo "Building $@ …" && mkdir -p $(@D)
	@$(CC) $(C_FLAGS) -static -o $@ $<

build/no-netlink.so: test/support/no-netlink.c
	@mkdir -p $(@D)
	@$(CC) $(C_FLAGS) -fPIC -shared -o $@ $<

build/docker-seccomp.json: scripts/docker-profile.sh
	@echo "Fetching Docker's own seccomp profile (once) …" && mkdir -p $(@D)
	@$(AS_ROOT) $< > $@.draft && mv $@.draft $@

build/seccomp.json: scripts/seccomp.ts build/docker-seccomp.json | $(NODE)
	@$(NODE) $^ $@

build/uinput-linux-%.node: $(wildcard uinput-native/*.c uinput-native/*.h) | $(NODE)
	@echo "Building $@ …" && mkdir -p $(@D)
	@$(CC_$*) $(C_FLAGS) -fPIC -shared -fvisibility=hidden -DNAPI_VERSION=9 -I$(NODE_DIR)/include/node -o $@ $(filter %.c,$^)

node_modules/.stamp: package.json package-lock.json $(wildcard packages/*/package.json) .npmrc | $(NODE)
	@echo "Installing npm packages (once) …"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# On Debian, Python needs another package to make virtual environments.
$(MINISTACK): tools/aws/requirements.txt
	@python3 -c 'import ensurepip' 2> /dev/null || $(INSTALL) python3-venv:python3-venv
	@echo "Installing ministack (once) …"
	@python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

tools/openapi/node_modules/.stamp tools/typedoc/node_modules/.stamp tools/stryker/node_modules/.stamp: tools/%/node_modules/.stamp: tools/%/package.json tools/%/package-lock.json
	@echo "Installing npm packages for tools/$* (once) …"
	@npm ci --prefix tools/$* --no-audit --no-fund --loglevel=error
	@touch $@

$(NODE) $(OTHER_NODES): $(CURDIR)/tools/%/node_modules/node-linux-$(ARCH)/bin/node: tools/%/package.json tools/%/package-lock.json
	@echo "Installing Node for tools/$* (once) …"
	@npm ci --prefix tools/$* --no-audit --no-fund --loglevel=error
	@test -x $@ || { echo "npm could not download node-linux-$(ARCH); check that npm can reach its registry, then run make again." >&2; exit 1; }
	@touch $@
