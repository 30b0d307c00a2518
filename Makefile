# Assay. `make demo` and `make test` need only Go, gcc and make.
GO      ?= go
GOFLAGS ?= -buildvcs=false
# go-nvml's generated code uses functions that NVIDIA's header marks as deprecated.
CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations
export GOFLAGS CGO_CFLAGS

BIN     := build/assay
# ./... skips testdata, so its Go packages are named.
TESTDATA_PKGS := ./testdata/adversary ./testdata/imports ./testdata/ledger ./testdata/bench/...
PKGS    := ./... $(TESTDATA_PKGS)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: build demo devnet test test-short test-engines test-engines-full fuzz-short lint vuln generate generate-check modules adversary bench bench-instances bench-pass bench-gas clean bench-chain bench-gemm

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

# Other engines and generators: needs node, qemu-user-static, binaryen (wasm-opt) and cargo; .ci/run installs them.
# MODULES generated modules (four of five by wasm-smith, the others by wasm-opt -ttf) from seed SEED on, on every
# engine; EVERY=1,1,1,1,4,25 gives the slow ones (TurboFan, arm64) a share only.
MODULES ?= 1000
SEED    ?= 0
EVERY   ?=
RECURSIVE ?= 200
SMITH   := runtime/sandbox/enginetest/smith
test-engines:
	cargo build --quiet --release --locked --manifest-path $(SMITH)/Cargo.toml --target-dir build/smith
	ASSAY_ENGINES=all ASSAY_SMITH=$(CURDIR)/build/smith/release/smith ASSAY_WASM_OPT=wasm-opt \
	ASSAY_MODULES=$$(($(MODULES) * 4 / 5)) ASSAY_TTF=$$(($(MODULES) / 5)) ASSAY_RECURSIVE=$(RECURSIVE) ASSAY_SEED=$(SEED) ASSAY_EVERY=$(EVERY) \
	$(GO) test -timeout $(ENGINES_TIMEOUT) -count=1 -v ./runtime/sandbox/enginetest > build/engines.log 2>&1; \
	s=$$?; grep -v '^ *=== \|^    --- PASS' build/engines.log; exit $$s

ENGINES_TIMEOUT ?= 20m
test-engines-full:
	$(MAKE) test-engines MODULES=$(if $(N),$(N),100000) RECURSIVE=10000 EVERY=1,1,1,1,4,25 ENGINES_TIMEOUT=24h

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

.PHONY: bench-gemm test-arm64

# cpudev on arm64, under an emulator (Debian: qemu-user-static): its vector path
# on a processor that has one and portable Go, against the reference.
test-arm64:
	@mkdir -p build
	CGO_ENABLED=0 GOARCH=arm64 $(GO) test -c -o build/cpudev-arm64.test ./hostgpu/cpudev
	cd hostgpu/cpudev && qemu-aarch64-static -cpu max ../../build/cpudev-arm64.test -test.run 'Conformance/.*/threads=3|Shapes|ConcurrentOps|Config'

.PHONY: bench-prices bench-slowdown search-worst

# ns per unit of gas of every instruction and host call, on an idle machine.
bench-prices:
	$(GO) run ./testdata/bench/prices -write docs/bench/prices.md
	@sed -n 3,5p docs/bench/prices.md

# cpudev's matrix products against the ceilings of this processor and against
# onnxruntime (npm; needs node), in one run. BENCH_FLAGS="-output json" for JSON.
ORT_VERSION ?= 1.30.0
build/peers/node_modules/onnxruntime-node:
	@mkdir -p build/peers
	npm install --prefix build/peers --ignore-scripts --no-audit --no-fund --loglevel=error onnxruntime-node@$(ORT_VERSION) >&2

bench-gemm: build/peers/node_modules/onnxruntime-node
	@$(GO) build -o build/bench-gemm ./testdata/bench/gemm
	@build/bench-gemm -peer build/peers/node_modules $(BENCH_FLAGS)

# Rewritten against original kernels, in several code layouts, on an idle machine.
bench-slowdown:
	$(GO) test -run '^$$' -bench Slowdown -benchtime 1x -timeout 30m ./runtime/meter

# The admissible module that takes the compiler the most time, then the most memory.
search-worst:
	$(GO) run ./testdata/bench/worst -seed 1 -tries 300
	$(GO) run ./testdata/bench/worst -seed 2 -tries 300 -memory

# The whole forward pass at production parameters: share of the device's own
# matrix product, cost of the sandbox, digests, admission statistics.
bench-pass:
	@$(GO) run ./testdata/bench/pass $(ARGS)

# Nanoseconds for each unit of gas, by op and shape, on the reference device,
# and its kernels against scalar code.
bench-gas:
	$(GO) test -run '^$$' -bench 'Gas|Scalar' -benchtime 1x ./hostgpu/wasmdev
# 10,000 miners commit and are settled on four nodes in one process.
bench-chain:
	$(GO) test -run '^$$' -bench Chain -benchtime 1x -timeout 15m -v .

.PHONY: cuda test-cuda bench-cuda test-cuda-emulated

# build/cuda: everything that a machine with a GPU needs to test and measure the
# CUDA device, without cgo but for the program that reads NVML. Copy the folder
# there and call `run test` or `run bench`.
cuda:
	@mkdir -p build/cuda
	@CGO_ENABLED=0 $(GO) test -c -o build/cuda/cudadev.test ./hostgpu/cudadev
	@CGO_ENABLED=0 $(GO) build -o build/cuda/bench-cuda ./testdata/bench/cuda
	@CGO_ENABLED=0 $(GO) build -o build/cuda/assay-device ./hostgpu/cmd/assay-device
	@$(GO) build -o build/cuda/assay-nvml ./hostgpu/cmd/assay-nvml
	@cp testdata/bench/cuda/run build/cuda/run

# Where there is no GPU, these two say so in one line.
test-cuda: cuda
	@build/cuda/run test

bench-cuda: cuda
	@build/cuda/run bench

# The whole conformance suite and the digest, on the PTX that ships, in the emulator: minutes.
test-cuda-emulated:
	ASSAY_CUDA_EMULATED=full $(GO) test -timeout 60m -count=1 -v -run 'Conformance|Digest' ./hostgpu/cudadev

clean:
	rm -rf build

# The CUDA kernels through NVIDIA's assembler: registers, spills (an error), shared memory. Fetches ptxas where it is missing. Then the
# whole suite of single calls, thousands of random ones and large ones on an emulated GPU: about ten minutes.
.PHONY: test-ptx
test-ptx:
	hostgpu/cudadev/kernels/check.sh
	ASSAY_PTX=1 $(GO) test -count=1 -v -timeout 60m ./hostgpu/cudadev/kernels
