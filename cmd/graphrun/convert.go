package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/graph/value/safetensors"
	"github.com/graphrun/graphrun/runtime"
)

func init() { commands = append(commands, convertCommand) }

type convertOptions struct {
	model     string
	out       string
	funcs     []string
	weights   string
	optimizer string
	lr        float64
	seed      uint64
	freeze    bool
	force     bool
	json      bool
}

// What convert writes, by the extension of --out.
const (
	artifactFormat    = "artifact" // a directory
	graphFormat       = "graph"
	safetensorsFormat = "safetensors"
	npzFormat         = "npz"
)

func convertCommand() *cobra.Command {
	var o convertOptions
	cmd := &cobra.Command{
		Use:   "convert MODEL -o OUT",
		Short: "Convert a model: to text, to weights, to fewer functions, or to another optimizer",
		Long: `convert reads a model and writes it in another form, which the name of --out decides:

  OUT              a directory with model.graph and model.safetensors, as train saves it
  OUT.graph        the graph alone, as text to read and edit, including all constants
  OUT.safetensors  the weights alone, named as in a PyTorch state_dict; without the optimizer's state
  OUT.npz          the same for NumPy

--optimizer replaces the optimizer of the function train, and its state, by a new step derived from the model's loss.
--weights imports weights from a .safetensors or .npz file, such as a PyTorch state_dict; names and shapes must match the model.
--func keeps only these functions and what they need: a service needs predict. Weights found in no file are initialized from --seed.
--freeze turns the weights of the kept functions into constants: sessions need no weights, normalizations merge into the layers before
them, and kernels read weights in their preferred layouts. A frozen model cannot be trained.
A directory that holds a model is not overwritten unless --force says so.

` + modelHelp,
		Example: `  graphrun convert lenet5 -o lenet5.graph
  graphrun convert trained -o weights.safetensors
  graphrun convert trained -o serve --func predict --freeze
  graphrun convert trained -o again --optimizer sgd --lr 0.01
  graphrun convert lenet5 -o mine --weights pytorch.safetensors`,
		Args: exactArg("a model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			switch {
			case o.out == "":
				return usagef("--out is missing: give a directory, or a file FILE.graph, FILE.safetensors or FILE.npz")
			case cmd.Flags().Changed("lr") && o.optimizer == "":
				return usagef("--lr goes with --optimizer: want one of %s", strings.Join(optimizerNames(), ", "))
			case !(o.lr > 0):
				return usagef("--lr %v: want a number above 0", o.lr)
			}
			return runConvert(o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "out", "o", "", "`FILE` or directory to write")
	f.StringSliceVar(&o.funcs, "func", nil, "keep these functions, as in predict,eval, and what they need (default all)")
	f.StringVar(&o.weights, "weights", "", "take the weights from `FILE`, .safetensors or .npz")
	f.StringVar(&o.optimizer, "optimizer", "", "replace the optimizer by one of: "+strings.Join(optimizerNames(), ", "))
	f.Float64Var(&o.lr, "lr", defaultLR, "learning rate of --optimizer")
	f.Uint64Var(&o.seed, "seed", 0, "seed of weights found in no file")
	f.BoolVar(&o.freeze, "freeze", false, "turn the weights into constants; the kept functions, see --func, must not update any")
	f.BoolVar(&o.force, "force", false, "overwrite the model in --out")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runConvert(o convertOptions, stdout, stderr io.Writer) error {
	format, err := outFormat(o.out)
	if err != nil {
		return err
	}
	if o.freeze && format != artifactFormat && format != graphFormat {
		return usagef("--freeze: %s would hold no weights, which are constants of the graph: write a directory, or FILE.graph", o.out)
	}
	if format == artifactFormat && !o.force && artifact.Exists(o.out) {
		return fmt.Errorf("--out %s: it holds a model already: --force overwrites it, another --out keeps it", o.out)
	}
	a, err := openArtifact(o.model, stderr)
	if err != nil {
		return err
	}
	if o.optimizer != "" {
		if err := replaceOptimizer(a.Module, a.Weights, o.optimizer, o.lr); err != nil {
			return err
		}
	}
	if o.weights != "" {
		if err := readWeights(a, o.weights); err != nil {
			return err
		}
	}
	if len(o.funcs) > 0 {
		for _, name := range o.funcs {
			if a.Module.LookupFunc(name) == nil {
				return usagef("--func %s: the model has no such function: want some of %s", name, value.Few(funcNames(a.Module)))
			}
		}
		if a, err = artifact.Keep(a, o.funcs...); err != nil {
			return err
		}
	}
	if o.freeze {
		if err := freeze(a, o.seed); err != nil {
			return err
		}
	}
	if format == graphFormat {
		if len(a.Weights) > 0 {
			fmt.Fprintf(stderr, "graphrun: note: %s is the graph alone: its weights are not in it\n", o.out)
		}
	} else if err := drawMissing(a, o.seed); err != nil {
		return err
	}
	if (format == safetensorsFormat || format == npzFormat) && len(a.StateDict()) == 0 {
		return fmt.Errorf("--out %s: the model has no weights: those of a frozen one are constants of its graph", o.out)
	}
	if err := writeModel(a, o.out, format); err != nil {
		return err
	}
	return printConverted(stdout, o, a, format)
}

// outFormat says what to write to a path.
func outFormat(path string) (string, error) {
	info, err := os.Stat(path)
	isDir := err == nil && info.IsDir()
	ext := strings.ToLower(filepath.Ext(path))
	format := map[string]string{".graph": graphFormat, ".safetensors": safetensorsFormat, ".npz": npzFormat}[ext]
	switch {
	case isDir && format != "":
		return "", fmt.Errorf("--out %s: want a file, this is a directory", path)
	case format != "":
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("--out %s: there is no directory %s", path, filepath.Dir(path))
		}
		return format, nil
	case isDir || strings.HasSuffix(filepath.ToSlash(path), "/") || ext == "":
		if err == nil && !isDir {
			return "", fmt.Errorf("--out %s: want a directory, this is a file", path)
		}
		return artifactFormat, nil
	}
	return "", usagef("--out %s: want a directory, or a file FILE.graph, FILE.safetensors or FILE.npz; a directory %s/ is written with the slash", path, path)
}

// openArtifact returns what an argument names as an artifact; one without weights if there are none.
func openArtifact(arg string, stderr io.Writer) (*artifact.Artifact, error) {
	m, err := openModel(arg)
	if err != nil {
		return nil, err
	}
	m.tell(stderr)
	a := &artifact.Artifact{Module: m.module, Weights: map[string]*value.Tensor{}}
	maps.Copy(a.Weights, m.weights)
	return a, nil
}

// freeze makes the variables of a model constants, none of which a function updates.
func freeze(a *artifact.Artifact, seed uint64) error {
	for _, f := range a.Module.Funcs() {
		if len(f.Updates()) > 0 {
			return usagef("--freeze: @%s updates variables: give --func with the functions to keep, such as predict", f.Name())
		}
	}
	if err := drawMissing(a, seed); err != nil {
		return err
	}
	a.Module = a.Module.Clone()
	if err := compile.FreezeVariables(a.Module, a.Weights); err != nil {
		return err
	}
	maps.DeleteFunc(a.Weights, func(name string, _ *value.Tensor) bool { return a.Module.LookupVariable(name) == nil })
	return nil
}

// readWeights takes weights from a file.
func readWeights(a *artifact.Artifact, path string) error {
	var tensors map[string]*value.Tensor
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--weights: there is no file %s", path)
	} else if err == nil && info.IsDir() {
		return fmt.Errorf("--weights %s: want a file .safetensors or .npz, this is a directory", path)
	}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".safetensors":
		file, err := safetensors.Open(os.DirFS(filepath.Dir(path)), filepath.Base(path))
		if err != nil {
			return fmt.Errorf("--weights: %w", err)
		}
		tensors = file.Tensors
	case ".npz":
		arrays, err := npy.ReadNPZ(path)
		if err != nil {
			return fmt.Errorf("--weights: %w", err)
		}
		tensors = arrays
	default:
		return usagef("--weights %s: want a file .safetensors or .npz", path)
	}
	weights, err := artifact.MatchWeights(a.Module, tensors)
	if err != nil {
		return fmt.Errorf("--weights %s: %w", path, err)
	}
	maps.Copy(a.Weights, weights)
	return nil
}

// drawMissing gives a value to variables without one if weights are among them, as a session does.
func drawMissing(a *artifact.Artifact, seed uint64) error {
	missing := func(v *graph.Variable) bool { return a.Weights[v.Name()] == nil && v.Trainable() }
	if !slices.ContainsFunc(a.Module.Variables(), missing) {
		return nil
	}
	prog, err := compile.Compile(a.Module)
	if err != nil {
		return err
	}
	sess, err := runtime.NewSession(prog, runtime.Seed(seed), runtime.Weights(a.Weights))
	if err != nil {
		return err
	}
	a.Weights = sess.Variables()
	return nil
}

func writeModel(a *artifact.Artifact, path, format string) error {
	switch format {
	case graphFormat:
		return atomicfile.Write(path, func(w io.Writer) error { return graph.Print(w, a.Module, graph.PrintOptions{Editable: true}) })
	case safetensorsFormat:
		var tensors []safetensors.Named
		dict := a.StateDict()
		for _, name := range slices.Sorted(maps.Keys(dict)) {
			tensors = append(tensors, safetensors.Named{Name: name, Tensor: dict[name]})
		}
		return atomicfile.Write(path, func(w io.Writer) error { return safetensors.Write(w, tensors, map[string]string{"format": "pt"}) })
	case npzFormat:
		return atomicfile.Write(path, func(w io.Writer) error { return npy.WriteNPZ(w, a.StateDict()) })
	}
	return artifact.Save(path, a.Module, a.Weights)
}

func printConverted(w io.Writer, o convertOptions, a *artifact.Artifact, format string) error {
	weights := 0
	for _, v := range a.Module.Variables() {
		if v.Trainable() {
			weights++
		}
	}
	sums := sumsOf(variablesOf(a.Module), a.Module)
	names := funcNames(a.Module)
	if o.json {
		return printJSON(w, map[string]any{
			"out": o.out, "format": format, "functions": names, "weights": weights, "parameters": sums.Parameters, "constants": sums.Constants,
		})
	}
	text := fmt.Sprintf("%d weights, %d parameters", weights, sums.Parameters)
	if format == artifactFormat || format == graphFormat {
		text = fmt.Sprintf("functions %s; %s%s", strings.Join(names, ", "), text, sums.constants())
	}
	text = o.out + ": " + text
	_, err := fmt.Fprintln(w, text)
	return err
}
