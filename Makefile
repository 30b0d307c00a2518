# Assay. `make demo` and `make test` need only Go, gcc and make.
GO      ?= go
GOFLAGS ?= -buildvcs=false
# go-nvml's generated code uses functions that NVIDIA's header marks as deprecated.
CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations
export GOFLAGS CGO_CFLAGS

BIN     := build/assay
# ./... skips testdata, so its Go packages are named.
TESTDATA_PKGS := ./testdata/imports ./testdata/ledger ./testdata/bench ./testdata/bench/gemm
PKGS    := ./... $(TESTDATA_PKGS)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: build demo devnet test test-short lint vuln generate generate-check modules bench bench-chain bench-gemm clean

build:
	@mkdir -p build
	@echo "building $(BIN) (the first build compiles the Cosmos SDK: about 5 minutes on two cores)"
	@$(GO) build -o $(BIN) .

demo: build
	@$(BIN) demo

devnet: build
	@$(BIN) devnet

test:
	$(GO) test -timeout 15m $(PKGS)

test-short:
	$(GO) test -short -timeout 5m $(PKGS)

# Every fuzz target for seconds, those of the sandbox for a minute: testdata/fuzz-targets.
fuzz-short:
	GO="$(GO)" testdata/fuzz-short

# Starts of instances, growing memory, admission, host calls.
bench-instances:
	$(GO) test -run '^$$' -bench 'Start|Grow|Check|HostCall' ./runtime/sandbox

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet $(PKGS)
	$(GO) run $(STATICCHECK) $(PKGS)

# Needs the vulnerability database of the Go project.
vuln:
	$(GO) run $(GOVULNCHECK) ./...

# Protobuf code (needs protoc, Debian: protobuf-compiler) and what derives from
# the op table: guest bindings, kernel prototypes, tables of the specification.
generate:
	chain/proto/generate.sh
	hostgpu/plugin/generate.sh
	$(GO) generate ./sdk/guest/... ./hostgpu/device ./modules/kernels

generate-check: generate
	@git diff --exit-code --stat -- chain sdk hostgpu modules/kernels docs/spec || { echo "generated code is stale: run 'make generate' and commit"; exit 1; }

# Rebuilds the shipped .wasm files; kernels need clang-19 and lld-19.
modules:
	modules/kernels/build.sh
	modules/build.sh

# What every strategy gains on average against honesty, over a thousand epochs of each. Shorter:
# make adversary FLAGS="-replicates 4"; for programs: FLAGS="-output json".
adversary:
	@$(GO) run ./testdata/adversary $(FLAGS)

bench:
	$(GO) run ./testdata/bench
	$(GO) run ./testdata/bench/fleet

# cpudev on arm64, under an emulator (Debian: qemu-user-static): its vector path
# on a processor that has one and portable Go, against the reference.
test-arm64:
	@mkdir -p build
	CGO_ENABLED=0 GOARCH=arm64 $(GO) test -c -o build/cpudev-arm64.test ./hostgpu/cpudev
	cd hostgpu/cpudev && qemu-aarch64-static -cpu max ../../build/cpudev-arm64.test -test.run 'Conformance/.*/threads=3|Shapes|ConcurrentOps|Config'

# cpudev's matrix products against the ceilings of this processor and against
# onnxruntime (npm; needs node), in one run. BENCH_FLAGS="-output json" for JSON.
ORT_VERSION ?= 1.30.0
build/peers/node_modules/onnxruntime-node:
	@mkdir -p build/peers
	npm install --prefix build/peers --ignore-scripts --no-audit --no-fund --loglevel=error onnxruntime-node@$(ORT_VERSION) >&2

bench-gemm: build/peers/node_modules/onnxruntime-node
	@$(GO) build -o build/bench-gemm ./testdata/bench/gemm
	@build/bench-gemm -peer build/peers/node_modules $(BENCH_FLAGS)

# 10,000 miners commit and are settled on four nodes in one process.
bench-chain:
	$(GO) test -run '^$$' -bench Chain -benchtime 1x -timeout 15m -v .

clean:
	rm -rf build
