package graph

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Pos is the place in a program or a .graph file that made a node. The zero Pos is unknown.
type Pos struct {
	File string // a path as the Go runtime or the parser's caller gave it
	Line int    // from 1
}

// IsKnown reports whether p names a place.
func (p Pos) IsKnown() bool { return p.Line > 0 }

// String returns "file:line", the file relative to the working directory when it lies below it and
// by its last element otherwise. A file name that does not print is escaped.
func (p Pos) String() string {
	if !p.IsKnown() {
		return "unknown position"
	}
	name := strconv.Quote(shortPath(p.File))
	return name[1:len(name)-1] + ":" + strconv.Itoa(p.Line)
}

var workingDir = sync.OnceValue(func() string {
	dir, err := syscall.Getwd() // os.Getwd would read directories, for 20 kB of a service
	if err != nil {
		return ""
	}
	if pwd := os.Getenv("PWD"); filepath.IsAbs(pwd) && filepath.Base(pwd) == filepath.Base(dir) { // the same by way of a link
		dir = pwd
	}
	return filepath.ToSlash(dir)
})

func shortPath(file string) string {
	file = filepath.ToSlash(file)
	if dir := workingDir(); dir != "" && dir != "/" {
		if rel, ok := strings.CutPrefix(file, dir+"/"); ok {
			return rel
		}
	}
	return file[strings.LastIndexByte(file, '/')+1:]
}

// library holds the packages whose frames are never "the user's call", by path and by directory: a closure of a library
// that the compiler inlines into a caller has the caller's function name and the library's file. A call through package
// reflect stands where it was asked for.
var library = map[string]bool{"reflect": true}

// MarkLibrary declares the calling package to be one that builds nodes for its callers: Caller and the
// positions of nodes pass over its frames. Call it from an init function or a package-level variable;
// test files are never passed over.
func MarkLibrary() struct{} {
	var pc [1]uintptr
	if runtime.Callers(2, pc[:]) == 1 {
		f, _ := runtime.CallersFrames(pc[:]).Next()
		library[packageOf(f.Function)] = true
		library[dirOf(f.File)] = true
	}
	return struct{}{}
}

var _ = MarkLibrary()

func dirOf(file string) string { return file[:strings.LastIndexByte(file, '/')+1] }

// isLibrary reports whether Caller passes over a frame.
func isLibrary(f runtime.Frame) bool {
	if strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	return library[packageOf(f.Function)] || library[dirOf(f.File)]
}

// packageOf cuts the package path off a function name such as "example.com/a/b.(*T).M.func1".
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		return function[:slash+dot]
	}
	return function
}

// Caller returns the position of the innermost frame outside the packages marked by MarkLibrary.
func Caller() Pos {
	var pcs [16]uintptr
	for skip := 2; ; {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for {
			f, more := frames.Next()
			if f.Function != "" && !isLibrary(f) {
				return Pos{File: f.File, Line: f.Line}
			}
			if !more {
				break
			}
		}
		if n < len(pcs) {
			return Pos{}
		}
		skip += n
	}
}
