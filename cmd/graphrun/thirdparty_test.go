package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite "+thirdPartyFile)

const thirdPartyFile = "THIRD_PARTY.md"

// dependency is a module that is linked into the command.
type dependency struct{ Path, Version, Dir string }

// linkedModules returns the modules that are linked into the command on any system, by path.
func linkedModules(t *testing.T) []dependency {
	found := map[string]dependency{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-json=Module", ".")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
			var pkg struct{ Module *dependency }
			if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if pkg.Module != nil && pkg.Module.Version != "" { // the main module has none
				found[pkg.Module.Path] = *pkg.Module
			}
		}
	}
	var all []dependency
	for _, m := range found {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b dependency) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// licenses tell a license by what stands in its text.
var licenses = []struct{ name, text string }{
	{"Apache-2.0", "Apache License"},
	{"CC-BY-4.0", "Creative Commons Attribution 4.0 International Public License"},
	{"OFL-1.1", "SIL OPEN FONT LICENSE Version 1.1"},
	{"FTL", "The FreeType Project LICENSE"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD-3-Clause", "to endorse or promote products"},
	{"patent grant", "Additional IP Rights Grant (Patents)"},
}

// licenseFiles are those of a module that hold for what is linked. Where there is a choice, freetype is taken under its own license.
var licenseFiles = []string{"LICENSE", "LICENSE.md", "LICENSE.txt", "LICENSE-SIL", "PATENTS", "NOTICE", "NOTICE.txt", "licenses/ftl.txt"}

// thirdParty is the notice of all modules, each text once.
func thirdParty(t *testing.T, modules []dependency) string {
	var table, texts strings.Builder
	holders := map[string][]string{}
	var order []string
	add := func(path, version string, files []string) {
		var names []string
		for _, text := range files {
			text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
			for _, l := range licenses {
				if strings.Contains(text, l.text) {
					names = append(names, l.name)
					break
				}
			}
			if holders[text] == nil {
				order = append(order, text)
			}
			holders[text] = append(holders[text], path)
		}
		if len(names) == 0 {
			t.Errorf("%s has no license that is known: add a row to licenses", path)
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", path, version, strings.Join(names, ", "))
	}
	for _, m := range modules {
		var files []string
		for _, name := range licenseFiles {
			if text, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(name))); err == nil {
				files = append(files, string(text))
			}
		}
		add(m.Path, m.Version, files)
		if m.Path == "golang.org/x/sys" { // its authors and texts are those of Go's own packages
			add("Go's runtime and standard library", "of the build", files)
		}
	}
	for _, text := range order {
		fmt.Fprintf(&texts, "\n## %s\n\n```text\n%s\n```\n", strings.Join(holders[text], ", "), text)
	}
	return "# Third-party software\n\nThe command graphrun is linked with the modules below. A service built on the core is linked with Go's packages and golang.org/x/sys alone.\n" +
		"`go test ./cmd/graphrun -run TestThirdParty -update` writes this file, and `graphrun version --licenses` prints it.\n\n" +
		"Portions of this software are copyright © 1996-2002, 2006 The FreeType Project (www.freetype.org). All rights reserved.\n" +
		"github.com/ajstarks/svgo is by Anthony J. Starks and used as it is.\n\n" +
		"| module | version | license |\n| --- | --- | --- |\n" + table.String() + texts.String()
}

// TestThirdParty holds the notice against the modules that are linked, on all systems, and their licenses.
func TestThirdParty(t *testing.T) {
	want := thirdParty(t, linkedModules(t))
	if *update && !t.Failed() {
		if err := os.WriteFile(thirdPartyFile, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if thirdPartyText == want {
		return
	}
	have := strings.Split(thirdPartyText, "\n")
	for _, line := range strings.Split(want, "\n") {
		if strings.HasPrefix(line, "| ") && !slices.Contains(have, line) {
			t.Errorf("%s lacks %s", thirdPartyFile, line)
		}
	}
	t.Errorf("%s is not what the modules say: go test ./cmd/graphrun -run TestThirdParty -update writes it", thirdPartyFile)
}
