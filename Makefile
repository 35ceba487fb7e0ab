# make demo   see it work, on a practice cloud on this machine
# make test   install what the tests need, bring up a real Keystone and Swift, run everything
# make help   the rest

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
GO       = CGO_ENABLED=0 go
TOOL     = go tool -modfile=tools/go.mod

.PHONY: help build install share packages dist demo test soak check fuzz bench vuln clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

build: ## bin/ccad and bin/ccactl: static, not position independent (it starts faster)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/ccad ./cmd/ccactl

install: build ## into ~/.local/bin, or PREFIX/bin
	install -D -m 0711 -t $(or $(PREFIX),$(HOME)/.local)/bin bin/ccad # nobody reads root's: SECURITY.md, In memory
	install -D -m 0755 -t $(or $(PREFIX),$(HOME)/.local)/bin bin/ccactl

share: ## bin/share: man pages and completions, laid out as below /usr/share
	@packaging/share.sh bin/share

packages: ## bin/packages: .deb and .rpm, for amd64 and arm64
	@packaging/package.sh bin/packages

dist: ## bin/dist: the programs for Linux and macOS, on amd64 and arm64
	@packaging/dist.sh bin/dist

demo: build ## the newcomer's tour, on a practice cloud; ends by itself
	@test/demo.sh

test: ## everything; as root or with sudo it installs what is missing, else it says what it leaves out
	@test/test.sh

soak: ## the long forms: 1,000 random kills and lives, the real lease, an object over 5 GiB
	@test/soak.sh

check: ## vet for each platform, and staticcheck
	go vet ./...
	GOOS=linux GOARCH=arm64 go vet ./...
	GOOS=darwin GOARCH=amd64 go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...
	go vet -tags rehearsal ./daemon/...
	go vet -tags 'smoke_kwallet smoke_keyctl' ./daemon/vault
	$(TOOL) staticcheck ./...

fuzz: ## every fuzz target for FUZZTIME (30s) each
	@test/fuzz.sh $(or $(FUZZTIME),30s)

bench: build ## the figures, as ratios of one run
	@test/bench.sh

vuln: ## govulncheck; its database is not reachable from every machine
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

clean: ## what make has made
	rm -rf bin
