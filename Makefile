# make test and make lint need only Go; golangci-lint is built from its module
# into .bin the first time. The tests with real mail servers need Linux with
# apt, and root; elsewhere they say so and do not run.

GOLANGCI_LINT_VERSION := v2.12.2
LINT := $(CURDIR)/.bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# The Go modules of this repository, the library first. go.work lets each use
# the others as they stand here; .ci/alone runs a command in one of them without
# go.work, as its users have it.
MODULES := . bench queue cmd/smtpretry metrics/otel metrics/prometheus metrics/check statuspage store/pgstore store/redisstore \
	examples/cookbook examples/fleet examples/queue examples/queueui examples/statuspage

# SQLite in Go is C that was translated: its pointers are none for checkptr, which
# -race turns on.
RACE := -race -gcflags=modernc.org/...=-d=checkptr=0

# TESTFLAGS adds flags to go test, as in make test TESTFLAGS=-v
TESTFLAGS ?=
FUZZTIME ?= 30s

.PHONY: all test lint tidy generate plots bench microbench fuzz cover servers

all: lint test

# Modules whose tests hold figures, which the race detector makes worse.
FIGURES := queue statuspage metrics/prometheus

# Race detector on, but for the tests that measure memory, the simulations of
# hours, crowds of 100,000 and the modules with figures, which run once more without; the seeds of the
# fuzz targets and the examples run too. Each module is tested alone; that all fit
# together as they stand is built. What was counted comes last.
test:
	@set -e; export TEST_SUMMARY=$$(mktemp); trap 'cat $$TEST_SUMMARY; rm -f $$TEST_SUMMARY' EXIT; set -x; \
	for m in $(MODULES); do .ci/alone $$m go test $(RACE) -timeout 15m $(TESTFLAGS) ./...; done; \
	for m in $(MODULES); do (cd $$m && go vet ./...); done; \
	for m in $(FIGURES); do (cd $$m && go test -timeout 15m $(TESTFLAGS) ./...); done; \
	go test -run 'Memory|Simulation|^TestCrowd$$|^TestRoused$$' $(TESTFLAGS) .

# All modules in one run, which is four times as fast as one after the other. The
# linter's cache is this checkout's own: what it keeps of another one names files
# that are no longer there, and then fails.
lint: $(LINT)
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'ed:"; gofmt -l .; exit 1; }
	@set -ex; for m in $(MODULES); do .ci/alone $$m go mod tidy -diff; done
	GOLANGCI_LINT_CACHE=$(CURDIR)/.bin/cache $(LINT) run --allow-parallel-runners $(MODULES:%=./%/...)

$(LINT):
	mkdir -p $(dir $@)
	GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(dir $@)golangci-lint $@

# Where go mod tidy by itself would look for modules that are not released.
tidy:
	@set -ex; for m in $(MODULES); do .ci/alone $$m go mod tidy; done

# The tables and programs in README.md and docs/ that come from the rules, the published
# limits, the fault matrix, the comparison with go-smtp, the examples and the metrics.
generate:
	go test -run 'TestReadme|TestFaultsDoc|TestCookbook|Test421' . -update
	go test -run 'TestDropIn' ./internal/dropin -update
	go test -run 'TestWorld/doc' ./metrics/check -update

# The plot in README.md; 45 seconds.
plots:
	go run ./examples/adaptive -svg docs/adaptive.svg

# smtpretry beside other ways to send mail, over loopback: writes
# docs/benchmarks.md and .svg and the table in README.md, and takes ten minutes on
# a quiet machine. make bench QUICK=1 takes one or two, and only prints. ONLY names what
# is measured anew, as a regular expression. benchstat compares what is noisy.
bench:
	go run ./bench $(if $(QUICK),-quick) $(if $(ONLY),-only '$(ONLY)') -o bench/$(QUICK)results.out -stat bench/stat.out
	go run ./bench/report $(if $(QUICK),,-docs .) bench/$(QUICK)results.out
	cd bench && go tool benchstat -filter '-/cell:/-ms/ .unit:msg/s' -row /cell -col /peer stat.out

# What one message costs the library itself.
microbench:
	@set -ex; for m in . queue metrics/prometheus metrics/otel; do (cd $$m && go test -run '^$$' -bench . -benchmem ./...); done

fuzz:
	@set -e; for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

# Real mail servers on loopback, until ^C.
servers:
	go run ./internal/realservers/servers

cover:
	go test -coverprofile=cover.out -coverpkg=./... ./...
	go tool cover -func=cover.out | tail -1
