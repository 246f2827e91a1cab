package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/dot"
	"github.com/graphrun/graphrun/graph/draw"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/npy"
	"github.com/graphrun/graphrun/graph/value/safetensors"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/models/initializer"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/models/optim"
	"github.com/graphrun/graphrun/models/plot"
	"github.com/graphrun/graphrun/models/train"
	"github.com/graphrun/graphrun/models/zoo"
	graphruntime "github.com/graphrun/graphrun/runtime"
	"github.com/graphrun/graphrun/runtime/dense"
)

// takers are the exported functions of public packages that take a pointer or an interface of the project, a reader, a writer, a file system or a
// context: what a caller may have forgotten. Those of package ops are in TestRobust.
var takers = map[string]any{
	"compile.Bisect":                       compile.Bisect,
	"compile.Check":                        compile.Check,
	"compile.Compile":                      compile.Compile,
	"compile.Dump":                         compile.Dump,
	"compile.Expect":                       compile.Expect,
	"compile.Freeze":                       compile.Freeze,
	"compile.FreezeVariables":              compile.FreezeVariables,
	"compile.Optimize":                     compile.Optimize,
	"compile.SampleFeeds":                  compile.SampleFeeds,
	"graph.Print":                          graph.Print,
	"graph.TypeOf":                         graph.TypeOf,
	"graph.VJP":                            graph.VJP,
	"graph.Verify":                         graph.Verify,
	"graph.VerifyChanges":                  graph.VerifyChanges,
	"graph/artifact.InfoOf":                artifact.InfoOf,
	"graph/artifact.Keep":                  artifact.Keep,
	"graph/artifact.Load":                  artifact.Load,
	"graph/artifact.LoadWeights":           artifact.LoadWeights,
	"graph/artifact.MatchWeights":          artifact.MatchWeights,
	"graph/artifact.Read":                  artifact.Read,
	"graph/artifact.ReadText":              artifact.ReadText,
	"graph/artifact.ReadWeights":           artifact.ReadWeights,
	"graph/artifact.Save":                  artifact.Save,
	"graph/artifact.Write":                 artifact.Write,
	"graph/dot.Write":                      dot.Write,
	"graph/draw.Write":                     draw.Write,
	"graph/value.AllClose":                 value.AllClose,
	"graph/value.CastExactly":              value.CastExactly,
	"graph/value.Data":                     value.Data[float32],
	"graph/value.Item":                     value.Item[float32],
	"graph/value/atomicfile.Temp":          atomicfile.Temp,
	"graph/value/atomicfile.Write":         atomicfile.Write,
	"graph/value/npy.NewArchive":           npy.NewArchive,
	"graph/value/npy.Open":                 npy.Open,
	"graph/value/npy.OpenArchiveFS":        npy.OpenArchiveFS,
	"graph/value/npy.OpenNPZ":              npy.OpenNPZ,
	"graph/value/npy.Read":                 npy.Read,
	"graph/value/npy.ReadNPZFrom":          npy.ReadNPZFrom,
	"graph/value/npy.Write":                npy.Write,
	"graph/value/npy.WriteNPZ":             npy.WriteNPZ,
	"graph/value/safetensors.Open":         safetensors.Open,
	"graph/value/safetensors.Read":         safetensors.Read,
	"graph/value/safetensors.Write":        safetensors.Write,
	"graph/value/safetensors.WriteChecked": safetensors.WriteChecked,
	"models/data.Bytes":                    data.Bytes,
	"models/data.DecodePicture":            data.DecodePicture,
	"models/data.FindParts":                data.FindParts,
	"models/data.First":                    data.First,
	"models/data.FromBytes":                data.FromBytes,
	"models/data.LoadCIFAR":                data.LoadCIFAR,
	"models/data.LoadFashionMNIST":         data.LoadFashionMNIST,
	"models/data.LoadIDX":                  data.LoadIDX,
	"models/data.LoadMNIST":                data.LoadMNIST,
	"models/data.Map":                      data.Map,
	"models/data.NewClassified":            data.NewClassified,
	"models/data.NewImages":                data.NewImages,
	"models/data.NewLoader":                data.NewLoader,
	"models/data.NewSubset":                data.NewSubset,
	"models/data.NewTensorDataset":         data.NewTensorDataset,
	"models/data.Normalize":                data.Normalize,
	"models/data.OpenCSV":                  data.OpenCSV,
	"models/data.OpenFolder":               data.OpenFolder,
	"models/data.OpenIDX":                  data.OpenIDX,
	"models/data.OpenNPZ":                  data.OpenNPZ,
	"models/data.Picture":                  data.Picture,
	"models/data.ReadCSV":                  data.ReadCSV,
	"models/data.ReadIDX":                  data.ReadIDX,
	"models/data.ReadNPZ":                  data.ReadNPZ,
	"models/data.Relabel":                  data.Relabel,
	"models/data.Split":                    data.Split,
	"models/data.Standardization":          data.Standardization,
	"models/data.WriteIDX":                 data.WriteIDX,
	"models/initializer.FromTensor":        initializer.FromTensor,
	"models/nn.Named":                      nn.Named,
	"models/nn.Sequential":                 nn.Sequential,
	"models/optim.Replace":                 optim.Replace,
	"models/plot.Confusion":                plot.Confusion,
	"models/plot.Curves":                   plot.Curves,
	"models/train.Evaluate":                train.Evaluate,
	"models/train.EvaluateTopK":            train.EvaluateTopK,
	"models/train.New":                     train.New,
	"models/train.ReadHistory":             train.ReadHistory,
	"models/zoo.Optimizer":                 zoo.Optimizer,
	"runtime.NewSession":                   graphruntime.NewSession,
	"runtime.References":                   graphruntime.References,
	"runtime.Weights":                      graphruntime.Weights,
	"runtime/dense.ToDense":                dense.ToDense,
}

// exempt are functions of the kind of takers that passes, executors and declarations of ops call with parts of a graph, none of which is nil.
var exempt = []string{
	"compile.ApplyRules", "compile.For", "compile.Insert", "compile.ReplaceNodes", "compile.Rewrites", "compile.Stats", "graph.Apply", "graph.BindRegion",
	"graph.BindUnknowns", "graph.BodyOf", "graph.CompareNode", "graph.EvalNode", "graph.Evaluate", "graph.ExternalName", "graph.InferRegion",
	"graph.InferTypes", "graph.MustRegister", "graph.Poison", "graph.Register", "graph.Samples", "graph.UnifyCaptures", "graph/artifact.SetClasses",
	"graph/value.Convert", "graph/value.ConvertMode", "runtime/dense.Copy", "runtime/dense.FromDense",
}

// TestNothingGiven calls every one of takers with nothing: nil and zeros, with no and with one variadic argument. An error is an answer, and so is
// a panic that says what is wrong in words; a fault of the runtime is none.
func TestNothingGiven(t *testing.T) {
	for name, f := range takers {
		v := reflect.ValueOf(f)
		for _, more := range []int{0, 1} {
			var args []reflect.Value
			for i := range v.Type().NumIn() {
				in := v.Type().In(i)
				if v.Type().IsVariadic() && i == v.Type().NumIn()-1 {
					if more == 0 {
						continue
					}
					in = in.Elem()
				}
				args = append(args, reflect.Zero(in))
			}
			if fault := faultOf(func() { v.Call(args) }); fault != nil {
				t.Errorf("%s: %v", name, fault)
			}
		}
	}
}

// faultOf returns the fault of the runtime in which a call ends, nil if there is none.
func faultOf(call func()) (fault error) {
	defer func() {
		if err, ok := recover().(runtime.Error); ok {
			fault = err
		}
	}()
	call()
	return nil
}

// nilable are parts of the types of parameters that may be forgotten.
var nilable = []string{
	"*", "fs.FS", "io.Reader", "io.Writer", "io.ReaderAt", "context.", "Layer", "value.Value", "Dataset",
}

// TestTakersAreAll finds functions that are missing in takers.
func TestTakersAreAll(t *testing.T) {
	root := "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir, _ := filepath.Rel(root, filepath.Dir(path))
		dir = filepath.ToSlash(dir)
		if d.IsDir() {
			if name := d.Name(); name == "internal" || name == "testdata" || name == "kernels" || name == "plan" || name == "optest" || strings.HasPrefix(name, ".") && name != ".." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || dir == "ops" {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil || file.Name.Name == "main" {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && f.Name.IsExported() && takers[dir+"."+f.Name.Name] == nil && !slices.Contains(exempt, dir+"."+f.Name.Name) && takes(fset, f) {
				t.Errorf("%s.%s is not in takers", dir, f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func takes(fset *token.FileSet, f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		var b bytes.Buffer
		if err := printer.Fprint(&b, fset, p.Type); err != nil {
			return false
		}
		for _, n := range nilable {
			if strings.Contains(b.String(), n) {
				return true
			}
		}
	}
	return false
}
