package main

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// topicFiles holds the help topics: a file NAME.md is shown by graphrun help NAME. Its first line, "# Title", stands in the list of
// topics.
//
//go:embed docs/*.md
var topicFiles embed.FS

// topic is a page of documentation.
type topic struct{ name, title, text string }

// firstTopics are the pages in the order in which they are best read; others follow by name.
var firstTopics = []string{"training", "data", "save-and-load", "serve", "read-the-passes", "add-an-op", "output"}

// topics returns all pages.
func topics() []topic {
	files, _ := fs.Glob(topicFiles, "docs/*.md")
	var all []topic
	for _, f := range files {
		t, err := readTopic(strings.TrimSuffix(strings.TrimPrefix(f, "docs/"), ".md"))
		if err == nil {
			all = append(all, t)
		}
	}
	place := func(t topic) int {
		if i := slices.Index(firstTopics, t.name); i >= 0 {
			return i
		}
		return len(firstTopics)
	}
	slices.SortStableFunc(all, func(a, b topic) int { return cmp.Compare(place(a), place(b)) })
	return all
}

// topicComment matches what a page says to those who test it and not to its readers.
var topicComment = regexp.MustCompile(`(?s)<!--.*?-->\n?`)

// Links between pages are commands where they are read in a terminal, others the name of what they lead to.
var (
	topicLink = regexp.MustCompile(`\[[\w-]+\.md\]\(([\w-]+)\.md\)`)
	otherLink = regexp.MustCompile(`\[([^\]\n]+)\]\([^)\n]*\.md\)`)
)

func readTopic(name string) (topic, error) {
	page, err := topicFiles.ReadFile("docs/" + name + ".md")
	if err != nil {
		return topic{}, err
	}
	text := topicComment.ReplaceAllString(strings.ReplaceAll(string(page), "\r\n", "\n"), "")
	text = otherLink.ReplaceAllString(topicLink.ReplaceAllString(text, "graphrun help $1"), "$1")
	title, _, _ := strings.Cut(text, "\n")
	return topic{name, strings.TrimSpace(strings.TrimPrefix(title, "#")), text}, nil
}

func topicNames() []string {
	var names []string
	for _, t := range topics() {
		names = append(names, t.name)
	}
	return names
}

// addHelp gives the root the command help and the list of topics.
func addHelp(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		if cmd != root {
			return
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "\nHelp topics, shown by graphrun help TOPIC:\n")
		width := 0
		for _, name := range topicNames() {
			width = max(width, len(name))
		}
		for _, t := range topics() {
			fmt.Fprintf(out, "  %-*s %s\n", width, t.name, t.title)
		}
	})
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "Show the help of a command, or a page of documentation",
		Long:  "help shows how a command is used, or a page of documentation. Without an argument it lists both.",
		Example: `  graphrun help run
  graphrun help output`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, c := range root.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			for _, t := range topics() {
				names = append(names, cobra.CompletionWithDesc(t.name, t.title))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				if t, err := readTopic(args[0]); err == nil {
					_, err := fmt.Fprint(root.OutOrStdout(), t.text)
					return err
				}
			}
			at := root
			for _, name := range args {
				i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == name && !c.Hidden })
				if i < 0 {
					return usagef("there is no command or topic %q%s", strings.Join(args, " "), didYouMean(name, append(commandNames(root), topicNames()...)))
				}
				at = at.Commands()[i]
			}
			at.InitDefaultHelpFlag()
			return at.Help()
		},
	})
}
