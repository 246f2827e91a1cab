#!/usr/bin/env bash
# The one command that says whether a change is good: format, vet, staticcheck, generated files, builds for every
# platform, tests with the race detector and without assembly, and last the plain tests.
#
#   ./check.sh          everything
#   ./check.sh --quick  without the race detector, the noasm tests, the other platforms, fuzzing and all hostile files
set -euo pipefail
cd "$(dirname "$0")"

quick=false
case "${1:-}" in
"") ;;
--quick) quick=true ;;
*)
	echo "usage: ./check.sh [--quick]" >&2
	exit 2
	;;
esac

step() { printf '\n== %s\n' "$*"; }
tool() { go tool -modfile=.ci/tools/go.mod "$@"; }

step "gofumpt"
unformatted=$(tool gofumpt -l .)
if [ -n "$unformatted" ]; then
	printf 'not formatted (run gofumpt -w):\n%s\n' "$unformatted" >&2
	exit 1
fi

step "go mod tidy changes nothing"
go mod tidy -diff

step "go vet"
go vet ./...

step "staticcheck"
tool staticcheck ./...

step "generated files are current"
before=$(git status --porcelain 2>/dev/null || true)
go generate ./...
after=$(git status --porcelain 2>/dev/null || true)
if [ "$before" != "$after" ]; then
	printf 'go generate changes files:\n%s\n' "$after" >&2
	exit 1
fi

if ! $quick; then
	for platform in linux/amd64 linux/arm64 darwin/arm64 windows/amd64 js/wasm; do
		step "CGO_ENABLED=0 build for $platform"
		CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} go build ./...
	done

	step "tests with -tags noasm"
	CGO_ENABLED=0 go test -short -tags noasm -timeout 30m ./...

	if [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then
		step "tests with the race detector"
		go test -short -race -timeout 30m ./...
	else
		step "tests with the race detector: skipped, there is no C compiler"
	fi
fi

if ! $quick; then
	step "fuzz targets, for a few seconds each"
	for file in $(grep -rl --include='*_test.go' '^func Fuzz' .); do
		for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
			long=3s
			if [ "$target" = FuzzRandomGraphs ]; then long=40x; fi # compiled a dozen times each: as long
			go test -run '^$' -fuzz "^$target\$" -fuzztime "$long" "$(dirname "$file")"
		done
	done
fi

if [ -n "${GRAPHRUN_GOLDEN:-}" ]; then
	step "PyTorch's values"
	go test -count=1 -v -run '^TestGolden$' ./models | grep 'golden:'
fi

if ! $quick; then
	step "hostile files"
	GRAPHRUN_HOSTILE=1 go test -count=1 -timeout 60m -run '^TestHostileFiles$' ./cmd/graphrun
fi

step "tests"
go test ./...
