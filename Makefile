# Nova. `make help` lists what there is; `make run` and `make test` are all that a newcomer needs.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE := $(or $(NOVA_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nova)
-include $(CACHE)/ffmpeg.mk
export NOVA_CLIP := $(CACHE)/clip/video.mp4
export NOVA_VERSITYGW := $(CACHE)/bin/versitygw
export GOFLAGS := $(GOFLAGS)

DEMO ?= 1
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X main.version=$(VERSION)
FUZZTIME ?= 20s
TESTFLAGS ?= -race
# Packages without the page's dependencies, which may hold Go files of their own.
PACKAGES = $(shell go list ./... | grep -v /node_modules/)

# Tests with browsers and whole stacks in real time, which want the machine for themselves.
END_TO_END = nova/cmd/nova nova/web/e2e

.PHONY: help run build setup setup-test web test test-go test-web check lint proto fuzz bench clean env docs

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "  make run DEMO=0     leaves the demo stream out";
	@echo "  make run ARGS='--set http.address=:9000'   passes flags to nova dev"

run: setup ## install what is missing, build, start everything with a demo stream playing
	@$(MAKE) --no-print-directory build start

# A make of its own, so that it knows what the set-up has just found.
.PHONY: start
start:
	@exec ./bin/nova dev $(if $(filter 0,$(DEMO)),--no-demo,) $(ARGS)

setup: ## install and build what `make run` needs (quick when it is there)
	@deploy/setup/setup.sh run

setup-test:
	@deploy/setup/setup.sh test

build: ## bin/nova
	@mkdir -p bin
	go build -ldflags '$(LDFLAGS)' -o bin/nova ./cmd/nova

web: ## build the page alone
	@deploy/setup/web.sh

test: setup-test ## the same set-up, then all tests
	@$(MAKE) --no-print-directory build test-web test-go

test-web:
	@cd web && npm run --silent check && npm test --silent

test-go:
	go test $(TESTFLAGS) -timeout 20m -p 2 $(filter-out $(END_TO_END),$(PACKAGES))
	go test $(TESTFLAGS) -timeout 20m -p 1 $(END_TO_END)

check: setup-test ## formatting, linters, import rules, API definitions, known vulnerabilities
	@deploy/setup/tools.sh
	@$(MAKE) --no-print-directory lint proto-check vuln

lint:
	PATH=$(CACHE)/bin:$$PATH golangci-lint run ./...
	go mod tidy -diff
	go test ./internal/archtest

.PHONY: proto-check vuln
proto-check:
	PATH=$(CACHE)/bin:$$PATH buf lint
	PATH=$(CACHE)/bin:$$PATH buf format --diff --exit-code
	@PATH=$(CACHE)/bin:$$PATH; old=$$(mktemp -d); trap 'rm -rf '$$old EXIT; cp -r internal/pb $$old/ && buf generate -o $$old/gen >/dev/null && diff -r $$old/gen/internal/pb internal/pb

vuln:
	@if curl -fsI --max-time 5 https://vuln.go.dev/index/db.json >/dev/null 2>&1; \
	then go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...; \
	else echo "check: the vulnerability database is not reachable from here; govulncheck was left out"; fi

proto: ## generate internal/pb from proto/
	@deploy/setup/tools.sh
	PATH=$(CACHE)/bin:$$PATH buf generate

fuzz: setup ## fuzz each parser of foreign bytes (FUZZTIME=20s each)
	@set -e; for p in $$(grep -rl --include='*_test.go' '^func Fuzz' --exclude-dir=node_modules . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -rhoE '^func Fuzz[A-Za-z0-9_]+' $$p/*_test.go | awk '{print $$2}'); do \
	    echo "== $$p $$f"; go test $$p -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME); done; done

bench: setup ## scenarios beside a peer, printed as ratios; results under bench/results
	@$(MAKE) --no-print-directory build
	./bin/nova bench $(ARGS)

env: ## the environment for building by hand: eval "$(make env)"
	@echo "export PATH='$(PATH)' PKG_CONFIG='$(PKG_CONFIG)' NOVA_FFMPEG='$(NOVA_FFMPEG)' NOVA_FFPROBE='$(NOVA_FFPROBE)' NOVA_CLIP='$(NOVA_CLIP)' NOVA_VERSITYGW='$(NOVA_VERSITYGW)'"

docs: build ## docs/CONFIG.md and deploy/nova.sample.yaml from the configuration's own tags
	./bin/nova config reference > docs/CONFIG.md
	./bin/nova config sample > deploy/nova.sample.yaml

clean: ## remove what was built and what `make run` stored (the cache stays)
	rm -rf bin .nova web/dist/assets web/dist/index.html web/dist/.stamp web/.build web/node_modules
