package main

import (
	"cmp"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// weights are the rows of the service's budget. Code belongs to the first row that has its package, or one above it in the tree.
var weights = []struct {
	row, what string
	packages  []string
}{
	{"Go's runtime", "memory, goroutines, maps", []string{"runtime", "internal/runtime", "internal/abi", "internal/bytealg", "internal/cpu", "internal/chacha8rand", "internal/sync", "internal/stringslite", "internal/reflectlite", "sync", "errors"}},
	{"fmt, reflect, strconv", "messages, numbers in text", []string{"fmt", "reflect", "strconv", "internal/strconv", "internal/fmtsort", "unicode"}},
	{"crypto", "sha256 of stored constants, and what Go's certified module checks at start-up", []string{"crypto"}},
	{"time", "what context and fmt link together: deadlines can be printed", []string{"time", "context"}},
	{"os, io, embed", "files, those in the program too", []string{"os", "io", "embed", "path", "syscall", "bufio", "internal/poll", "internal/syscall", "internal/filepathlite", "internal/oserror", "internal/testlog"}},
	{"math", "references and Go kernels", []string{"math"}},
	{"rest of the standard library", "slices, strings, maps, base64, settings of GODEBUG", []string{""}},
	{"golang.org/x/sys/cpu", "what the processor offers", []string{"golang.org/x/sys/cpu"}},
	{"graph", "IR, text form, verifier, interpreter, symbolic dims", []string{module + "/graph"}},
	{"graph/value", "host values, dtypes, safetensors", []string{module + "/graph/value"}},
	{"ops", "every operation: type rule, reference, gradient", []string{module + "/ops"}},
	{"compile", "the passes", []string{module + "/compile"}},
	{"runtime", "sessions, programs, the planner and its checker", []string{module + "/runtime"}},
	{"runtime/kernels", "kernels in Go", []string{module + "/runtime/kernels"}},
	{"assembly", "kernels for AVX2 and AVX-512", nil},
	{"the service itself", "testdata/service/main.go", []string{"main"}},
}

// logWeights logs what fills the service: its code by package, and its data by kind. It builds the service with a table of symbols,
// always for the same processor and system.
func logWeights(t *testing.T, dir string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "service.elf")
	cmd := exec.Command("go", "build", "-ldflags=-w", "-o", program, "./"+filepath.ToSlash(dir))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}

	code := make([]uint64, len(weights))
	start := map[string]uint64{} // of what the linker gathers under one name
	fileOf := sourceFiles(t, f)
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			code[weightRow(t, s.Name, fileOf(s.Value))] += s.Size
		} else {
			start[s.Name] = s.Value
		}
	}
	size := func(sections ...string) (n uint64) {
		for _, name := range sections {
			if s := f.Section(name); s != nil {
				n += s.FileSize
			}
		}
		return n
	}
	var embedded uint64
	for _, pattern := range []string{"model/model.*", "sample.gray"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			embedded += uint64(info.Size())
		}
	}

	var table strings.Builder
	var total, inRows uint64
	put := func(row string, bytes uint64, what string) {
		fmt.Fprintf(&table, "| %s | %d | %s |\n", row, (bytes+500)/1000, what)
		total += bytes
	}
	for i, w := range weights {
		put(w.row, code[i], w.what)
		inRows += code[i]
	}
	put("padding of functions", size(".text")-inRows, "each starts at a multiple of 32")
	types, strs, after := start["type:*"], start["go:string.*"], start["go:funcdesc"]
	put("types", strs-types, "what allocation, interfaces and maps have to know of types")
	put("strings", after-strs, "messages and the ops' documentation")
	put("the model", embedded, "LeNet-5 as text and weights, and a picture")
	put("tables of functions", size(".gopclntab"), "names, lines and what the garbage collector finds in frames, of all code")
	put("other data", size(".rodata", ".typelink", ".itablink", ".noptrdata", ".data", ".go.buildinfo", ".go.fipsinfo", ".go.module")-(after-types)-embedded, "tables and constants")
	t.Logf("linux/amd64, kB of %d:\n\n| | kB | |\n| --- | --- | --- |\n%s", (total+500)/1000, &table)
}

// weightRow returns the index in weights of a function's row.
func weightRow(t *testing.T, function, file string) int {
	t.Helper()
	dir, ext := path.Dir(file), path.Ext(file)
	pkg := functionPackage(function)
	if pkg == "" && strings.Contains(dir, "/src/") { // assembly of the standard library
		pkg = dir[strings.LastIndex(dir, "/src/")+len("/src/"):]
	}
	best, longest := -1, -1
	for i, w := range weights {
		if w.packages == nil && ext == ".s" && strings.Contains(dir, "/runtime/kernels/") {
			return i
		}
		for _, p := range w.packages {
			if (p == "" || pkg == p || strings.HasPrefix(pkg, p+"/")) && len(p) > longest {
				best, longest = i, len(p)
			}
		}
	}
	if strings.HasPrefix(pkg, module) && weights[best].packages[0] == "" {
		t.Errorf("%s is in no row of the budget", function)
	}
	return best
}

// functionPackage returns the path of the package in a symbol's name, "" if there is none.
func functionPackage(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "type:.eq."), "type:.hash.")
	name = strings.TrimLeft(name, "*")
	name, _, _ = strings.Cut(name, "[") // type arguments have paths too
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.ReplaceAll(name[:slash+dot], "%2e", ".")
}

// sourceFiles returns the function that tells the source file of an address.
func sourceFiles(t *testing.T, f *elf.File) func(pc uint64) string {
	t.Helper()
	lines, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	return func(pc uint64) string {
		file, _, _ := table.PCToLine(pc)
		return cmp.Or(file, "?")
	}
}
