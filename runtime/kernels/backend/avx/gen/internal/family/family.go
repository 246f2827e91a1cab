// Package family writes the kernels of one signature so that Go knows them as numbers. A kernel is a function that only its file
// knows, with a short name; one function for all of them, which Go calls with the number as the last argument, jumps to it with
// the frame of arguments as it is. A kernel that Go knew as a function would cost a wrapper, a symbol and a long name.
package family

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
)

// Family is a set of kernels.
type Family struct {
	name, args string
	size       int
	kernels    []string
}

var families []*Family

// docs are the comments of functions, by name.
var docs = map[string]string{}

// New declares a family: name is that of the function that Go calls, args are its arguments but for the last, of which size is
// the size in bytes, a multiple of eight. Pointers to elements are unsafe.Pointer.
func New(name, args string, size int) *Family {
	f := &Family{name: name, args: args, size: size}
	families = append(families, f)
	return f
}

// Text begins a kernel, whose args are those of the family with the types that avo knows, and returns its number, from 1 on. The code is
// the Go code that it stands for, which has its arguments as slices: fma rounds once.
func (f *Family) Text(name, args, doc, code string) int {
	build.TEXT(name, attr.NOSPLIT, "func("+args+")")
	Code(name, doc, code)
	f.kernels = append(f.kernels, name)
	return len(f.kernels)
}

// Code puts a comment and the Go code that a function stands for above it.
func Code(name, doc, code string) {
	src, err := format.Source([]byte(strings.TrimSpace(code)))
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	docs[name] = "// " + strings.TrimSuffix(doc, ".") + ":\n//\n//\t" + strings.ReplaceAll(string(src), "\n", "\n//\t") + "\n//\n"
}

// Number returns the number of a kernel.
func (f *Family) Number(name string) int {
	i := slices.Index(f.kernels, name)
	if i < 0 {
		log.Fatalf("no kernel %s", name)
	}
	return i + 1
}

// Len returns how many kernels there are.
func (f *Family) Len() int { return len(f.kernels) }

// Generate does what avo's Generate does, with the families, and writes the file of tables.
func Generate(tablesFile string, tables []byte) {
	build.Generate()
	asm, stubs := flag.Lookup("out").Value.String(), flag.Lookup("stubs").Value.String()
	text, decls := read(asm), read(stubs)
	private := map[string]bool{}
	for _, f := range families {
		for _, k := range f.kernels {
			private[k] = true
		}
	}
	text = print(text, private)
	const include = "#include \"textflag.h\"\n"
	text = strings.Replace(text, include, include+"\n// The code of a kernel is a macro of one instruction a line, since the binary holds an entry for every line that has instructions.\n", 1)
	decls = drop(decls, private)
	for _, f := range families {
		text += f.dispatcher()
		decls += f.stub()
	}
	if strings.Contains(decls, "unsafe.Pointer") {
		decls = strings.Replace(decls, "package avx\n", "package avx\n\nimport \"unsafe\"\n", 1)
	}
	write(asm, []byte(text))
	write(stubs, []byte(decls))
	write(tablesFile, tables)
}

var textLine = regexp.MustCompile(`^TEXT ·(\w+)\(SB\)(.*)$`)

// print writes one instruction a line, labels between them, under the comment and the Go code of each function. A kernel is a macro,
// which the file uses on one line: the binary holds an entry for every line that has instructions.
func print(text string, private map[string]bool) string {
	var w strings.Builder
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if name, ok := strings.CutPrefix(lines[i], "// func "); ok {
			name, _, _ = strings.Cut(name, "(")
			w.WriteString(docs[name])
		}
		m := textLine.FindStringSubmatch(lines[i])
		if m == nil {
			w.WriteString(lines[i] + "\n")
			continue
		}
		var code []string
		at := i
		for i++; i < len(lines) && !strings.HasPrefix(lines[i], "//") && !strings.HasPrefix(lines[i], "DATA "); i++ {
			if lines[i] != "" {
				code = append(code, "\t"+lines[i])
			}
		}
		i--
		name := m[1]
		if !private[name] {
			w.WriteString(lines[at] + "\n" + strings.Join(code, "\n") + "\n\n")
			continue
		}
		longest := 0
		for _, line := range code {
			longest = max(longest, columns(line))
		}
		fmt.Fprintf(&w, "#define %sCode \\\n", name)
		last := len(code) - 1
		for _, line := range code[:last] {
			fmt.Fprintf(&w, "%s%*s \\\n", line, longest-columns(line), "")
		}
		fmt.Fprintf(&w, "%s\n\nTEXT %s<>(SB)%s\n\t%sCode\n\n", code[last], name, m[2], name)
	}
	return strings.TrimRight(w.String(), "\n") + "\n"
}

// columns returns how wide a line is.
func columns(line string) int { return len(line) + 7*strings.Count(line, "\t") }

var funcLine = regexp.MustCompile(`(?m)^func (\w+)\(`)

// drop removes the declarations of kernels.
func drop(stubs string, private map[string]bool) string {
	parts := strings.Split(strings.TrimSuffix(stubs, "\n"), "\n\n")
	var kept []string
	for _, p := range parts {
		if m := funcLine.FindStringSubmatch(p); m == nil || !private[m[1]] {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n\n") + "\n"
}

// dispatcher returns the function that jumps, and its table of addresses.
func (f *Family) dispatcher() string {
	var w strings.Builder
	fmt.Fprintf(&w, "\n// func %s(%s, kernel int)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", f.name, f.args, f.name, f.size+8)
	fmt.Fprintf(&w, "\tMOVQ kernel+%d(FP), AX\n\tLEAQ %sKernels<>(SB), CX\n\tJMP  (CX)(AX*8)\n\n", f.size, f.name)
	for i, k := range f.kernels {
		fmt.Fprintf(&w, "DATA %sKernels<>+%d(SB)/8, $%s<>(SB)\n", f.name, 8*(i+1), k)
	}
	fmt.Fprintf(&w, "GLOBL %sKernels<>(SB), RODATA, $%d\n", f.name, 8*(len(f.kernels)+1))
	return w.String()
}

func (f *Family) stub() string {
	return fmt.Sprintf("\n// %s calls one of %d kernels by its number, from 1 on.\n//\n//go:noescape\nfunc %s(%s, kernel int)\n",
		f.name, len(f.kernels), f.name, f.args)
}

func read(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	return string(bytes.TrimRight(b, "\n")) + "\n"
}

func write(file string, b []byte) {
	if err := os.WriteFile(file, b, 0o644); err != nil {
		log.Fatal(err)
	}
}
