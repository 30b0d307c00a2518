#!/bin/sh
# Assembles both images with NVIDIA's assembler, as the driver will, and prints
# what each kernel takes. Fails on an error, a spilled register, a stack, a
# warning, or wgmma instructions that the assembler had to run one by one. Needs
# no GPU. ptxas: $PTXAS, else the one in PATH, else the wheel of NVIDIA's compiler,
# fetched once into a cache folder. With an argument, that ptxas version's wheel.
set -eu
cd "$(dirname "$0")"
version=${1:-12.9.86}
if [ -z "${PTXAS:-}" ]; then
	PTXAS=$(command -v ptxas || true)
fi
if [ -z "$PTXAS" ]; then
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/assay/ptxas-$version
	PTXAS=$cache/nvidia/cuda_nvcc/bin/ptxas
	if [ ! -x "$PTXAS" ]; then
		tmp=$(mktemp -d)
		trap 'rm -rf "$tmp"' EXIT
		python3 -m venv "$tmp/venv"
		"$tmp/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$tmp" "nvidia-cuda-nvcc-cu12==$version"
		mkdir -p "$cache"
		python3 -m zipfile -e "$tmp"/*.whl "$cache"
		chmod +x "$PTXAS"
	fi
fi
out=$(mktemp -d)
trap 'rm -rf "$out" "${tmp:-$out}"' EXIT
"$PTXAS" --version | tail -1
# assemble ARCH IMAGE: ptxas says three lines a kernel: its name, stack and
# spills, registers and shared memory.
assemble() {
	"$PTXAS" -arch="$1" -v "ptx/$2" -o "$out/cubin" > "$out/log" 2>&1 || { cat "$out/log"; exit 1; }
	awk -v arch="$1" '
		/Compiling entry function/ { split($0, q, "\047"); name = q[2] }
		/bytes stack frame/ {
			if ($1 + $5 + $9 > 0) { print arch, name ": " $0 > "/dev/stderr"; bad = 1 }
		}
		/Used [0-9]+ registers/ {
			smem = 0
			for (i = 1; i < NF; i++) if ($i == "bytes" && $(i + 1) ~ /^smem/) smem = $(i - 1)
			match($0, /Used [0-9]+/)
			printf "%-8s %-24s %4d registers %6d bytes of static shared memory\n", arch, name, substr($0, RSTART + 5, RLENGTH - 5), smem
			kernels++
		}
		/warning|C75[0-9][0-9]|serializ/ { print > "/dev/stderr"; bad = 1 }
		END { if (!kernels) { print arch ": no kernels" > "/dev/stderr"; bad = 1 } exit bad }' "$out/log"
}
for arch in sm_80 sm_86 sm_89 sm_90 sm_100 sm_120; do
	assemble $arch assay_sm80.ptx
done
assemble sm_90a assay_sm90a.ptx
