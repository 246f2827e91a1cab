package main

import (
	_ "embed"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/graph"
)

func init() { commands = append(commands, versionCommand) }

// thirdPartyText are the licenses of the modules that are linked.
//
//go:embed THIRD_PARTY.md
var thirdPartyText string

func versionCommand() *cobra.Command {
	var asJSON, licenses bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of graphrun and of Go",
		Long: `version prints the version of graphrun, the revision that it was built from, the version of Go, and the system.
--licenses prints the licenses of the software that graphrun is linked with.`,
		Example: `  graphrun version
  graphrun version --json
  graphrun version --licenses`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if licenses {
				_, err := io.WriteString(cmd.OutOrStdout(), thirdPartyText)
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), currentBuild())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionText())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&licenses, "licenses", false, "print the licenses of the software that graphrun is linked with")
	cmd.MarkFlagsMutuallyExclusive("json", "licenses")
	return cmd
}

// build says which graphrun this is: a release installed with go install has a module version, a build in a clone a revision, if Go
// recorded it.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified"` // there were changes beside the revision
	Format   int    `json:"format"`   // of the models that are written
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func currentBuild() build {
	b := build{Version: "(devel)", Format: graph.FormatVersion, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// versionText is the build on one line.
func versionText() string {
	b := currentBuild()
	text := "graphrun " + b.Version
	if b.Revision != "" {
		text += " " + b.Revision[:min(12, len(b.Revision))]
	}
	if b.Modified {
		text += " with changes"
	}
	return fmt.Sprintf("%s %s %s/%s", text, b.Go, b.OS, b.Arch)
}
