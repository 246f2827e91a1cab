// Package family writes the kernels of one signature so that Go knows them as numbers. A kernel is a function that only its file
// knows, with a short name; one function for all of them, which Go calls with the number as the last argument, jumps to it with
// the frame of arguments as it is. A kernel that Go knew as a function would cost a wrapper, a symbol and a long name.
package family

import (
	"bytes"
	"flag"
	"fmt"
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

// New declares a family: name is that of the function that Go calls, args are its arguments but for the last, of which size is
// the size in bytes, a multiple of eight. Pointers to elements are unsafe.Pointer.
func New(name, args string, size int) *Family {
	f := &Family{name: name, args: args, size: size}
	families = append(families, f)
	return f
}

// Text begins a kernel, whose args are those of the family with the types that avo knows, and returns its number, from 1 on.
func (f *Family) Text(name, args, doc string) int {
	build.TEXT(name, attr.NOSPLIT, "func("+args+")")
	build.Doc(doc)
	f.kernels = append(f.kernels, name)
	return len(f.kernels)
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
	text = hide(text, private)
	text = joinLines(text)
	decls = drop(decls, private)
	for _, f := range families {
		text += f.dispatcher()
		decls += f.stub()
	}
	if strings.Contains(decls, "unsafe.Pointer") {
		decls = strings.Replace(decls, "package simd\n", "package simd\n\nimport \"unsafe\"\n", 1)
	}
	write(asm, []byte(text))
	write(stubs, []byte(decls))
	write(tablesFile, tables)
}

var textLine = regexp.MustCompile(`(?m)^TEXT ·(\w+)\(SB\)`)

// hide makes kernels symbols of the file.
func hide(text string, private map[string]bool) string {
	return textLine.ReplaceAllStringFunc(text, func(line string) string {
		if name := textLine.FindStringSubmatch(line)[1]; private[name] {
			return fmt.Sprintf("TEXT %s<>(SB)", name)
		}
		return line
	})
}

// joinLines puts the instructions between two labels on one line: the binary holds a table entry for every line.
func joinLines(text string) string {
	var w strings.Builder
	open := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		instruction, ok := strings.CutPrefix(line, "\t")
		switch {
		case ok && open:
			w.WriteString("; " + instruction)
			continue
		case open:
			w.WriteString("\n")
		}
		open = ok
		w.WriteString(line)
		if !ok {
			w.WriteString("\n")
		}
	}
	if open {
		w.WriteString("\n")
	}
	return w.String()
}

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
