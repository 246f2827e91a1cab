package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// raw makes a file of a header and data.
func raw(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func write(t testing.TB, tensors []safetensors.Named, metadata map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := safetensors.Write(&buf, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// sample has a tensor of every dtype of the format, of several ranks, in no order.
func sample(t testing.TB) []safetensors.Named {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var all []safetensors.Named
	for _, dt := range value.DTypes() {
		if dt == value.String || dt.IsInteger() && dt.Bits() < 8 {
			continue
		}
		for i, shape := range [][]int{{2, 3}, {}, {0, 4}} {
			if dt == value.F4E2M1 && len(shape) == 0 {
				continue
			}
			x := must[*value.Tensor](t)(value.New(dt, shape...))
			for j := range x.Bytes() {
				x.Bytes()[j] = byte(rng.Uint32())
				if dt == value.Bool {
					x.Bytes()[j] &= 1
				}
			}
			all = append(all, safetensors.Named{Name: fmt.Sprintf("layers.%d.%s", i, dt), Tensor: x})
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// TestGolden compares with the bytes of the reference implementation, version 0.8.0.
func TestGolden(t *testing.T) {
	f32 := must[*value.Tensor](t)(value.New(value.F32, 2))
	i64 := must[*value.Tensor](t)(value.New(value.I64, 2, 3))
	u8 := must[*value.Tensor](t)(value.New(value.U8))
	f16 := must[*value.Tensor](t)(value.New(value.F16, 0, 3))
	for _, test := range []struct {
		tensors  []safetensors.Named
		metadata map[string]string
		want     string
	}{
		{nil, nil, "\x08\x00\x00\x00\x00\x00\x00\x00{}      "},
		{
			[]safetensors.Named{{"a\"bé\n\x01<>&", f32}, {"b", u8}, {"e", f16}, {"z", i64}},
			map[string]string{"k": "v\\"},
			"\x10\x01\x00\x00\x00\x00\x00\x00" + `{"__metadata__":{"k":"v\\"},"z":{"dtype":"I64","shape":[2,3],"data_offsets":[0,48]},` +
				`"a\"bé\n\u0001<>&":{"dtype":"F32","shape":[2],"data_offsets":[48,56]},` +
				`"e":{"dtype":"F16","shape":[0,3],"data_offsets":[56,56]},` +
				`"b":{"dtype":"U8","shape":[],"data_offsets":[56,57]}}       ` + strings.Repeat("\x00", 57),
		},
		{
			[]safetensors.Named{{"x", must[*value.Tensor](t)(value.FromSlice([]uint8{1, 2, 3}, 3))}},
			map[string]string{},
			"H\x00\x00\x00\x00\x00\x00\x00" + `{"__metadata__":{},"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}} ` + "\x01\x02\x03",
		},
	} {
		if got := write(t, test.tensors, test.metadata); string(got) != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	tensors := sample(t)
	metadata := map[string]string{"format": "pt", "": "\u2028\x7f\t\"\\"}
	file := write(t, tensors, metadata)
	slices.Reverse(tensors)
	if again := write(t, tensors, metadata); !bytes.Equal(file, again) {
		t.Error("the bytes depend on the order of the tensors")
	}
	check := func(t *testing.T, f *safetensors.File) {
		t.Helper()
		if !maps.Equal(f.Metadata, metadata) {
			t.Errorf("got metadata %v", f.Metadata)
		}
		if len(f.Tensors) != len(tensors) || len(f.Names()) != len(tensors) {
			t.Fatalf("got %d tensors and %d names, want %d", len(f.Tensors), len(f.Names()), len(tensors))
		}
		for _, want := range tensors {
			if got := f.Tensors[want.Name]; !got.Equal(want.Tensor) {
				t.Errorf("%s: got %v, want %v", want.Name, got, want.Tensor)
			}
		}
		if again := write(t, f.Named(), f.Metadata); !bytes.Equal(file, again) {
			t.Error("writing what was read gives other bytes")
		}
	}
	t.Run("sized", func(t *testing.T) {
		check(t, must[*safetensors.File](t)(safetensors.Read(bytes.NewReader(file), int64(len(file)))))
	})
	t.Run("unsized", func(t *testing.T) {
		check(t, must[*safetensors.File](t)(safetensors.Read(iotest.OneByteReader(bytes.NewReader(file)), -1)))
	})
	t.Run("fs", func(t *testing.T) {
		fsys := fstest.MapFS{"dir/model.safetensors": {Data: file}}
		check(t, must[*safetensors.File](t)(safetensors.Open(fsys, "dir/model.safetensors")))
		if _, err := safetensors.Open(fsys, "missing"); err == nil {
			t.Error("no error for a missing file")
		}
	})
}

// TestLarge reads tensors beyond the size of a chunk from an input of unknown size.
func TestLarge(t *testing.T) {
	data := make([]float32, 1<<20+1)
	for i := range data {
		data[i] = float32(i)
	}
	x := must[*value.Tensor](t)(value.FromSlice(data, len(data)))
	file := write(t, []safetensors.Named{{"b", value.Scalar(int8(3))}, {"x", x}}, nil)
	for _, size := range []int64{-1, int64(len(file))} {
		f := must[*safetensors.File](t)(safetensors.Read(bytes.NewReader(file), size))
		if !f.Tensors["x"].Equal(x) {
			t.Error("the data differs")
		}
		if !slices.Equal(f.Names(), []string{"x", "b"}) {
			t.Errorf("got names %v", f.Names())
		}
	}
}

// TestUnordered reads a file whose header is not in the order of the data.
func TestUnordered(t *testing.T) {
	file := raw(`{"b":{"shape":[1],"dtype":"U8","data_offsets":[1,2]}, "a" : {"data_offsets":[0,1],"shape":[],"dtype":"I8"} }   `, "\x07\x08")
	f := must[*safetensors.File](t)(safetensors.Read(bytes.NewReader(file), -1))
	if !slices.Equal(f.Names(), []string{"a", "b"}) || f.Metadata != nil {
		t.Errorf("got %v, %v", f.Names(), f.Metadata)
	}
	if f.Tensors["a"].String() != "i8[] 7" || f.Tensors["b"].String() != "u8[1] [8]" {
		t.Errorf("got %v", f.Tensors)
	}
}

func TestHostile(t *testing.T) {
	const ok = `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`
	length := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "ends after 0 bytes"},
		{"short length", []byte{1, 2, 3}, "ends after 3 bytes"},
		{"header length 2^64-1", append(length(math.MaxUint64), ok...), "limit"},
		{"header length 2^63", append(length(1<<63), ok...), "limit"},
		{"header length over the limit", append(length(safetensors.MaxHeader+1), ok...), "limit"},
		{"header length over the file", append(length(safetensors.MaxHeader), ok...), "100000000 bytes|ends after"},
		{"no header", length(0), "begin with '{'"},
		{"blank before", raw(" "+ok, "ab"), "begin with '{'"},
		{"an array", raw(`[]`, ""), "begin with '{'"},
		{"not complete", raw(`{"a":{"dtype":"U8"`, ""), "not complete|unexpected"},
		{"not UTF-8", raw("{\"\xff\":{}}", ""), "UTF-8"},
		{"after the object", raw(ok+` {}`, "ab"), "more after the JSON"},
		{"garbage after the object", raw(ok+"\x00", "ab"), "invalid character"},
		{"trailing comma", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},}`, "ab"), "want a string|invalid"},
		{"duplicate tensor", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "ab"), "twice"},
		{"duplicate by escape", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "ab"), "twice"},
		{"duplicate field", raw(`{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, "ab"), "twice"},
		{"duplicate metadata", raw(`{"__metadata__":{},"__metadata__":{}}`, ""), "twice"},
		{"duplicate metadata key", raw(`{"__metadata__":{"k":"1","k":"2"}}`, ""), "twice"},
		{"metadata number", raw(`{"__metadata__":{"k":1}}`, ""), "want a string"},
		{"metadata list", raw(`{"__metadata__":[]}`, ""), "want '{'"},
		{"unknown field", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":1}}`, "ab"), "\"x\""},
		{"no dtype", raw(`{"a":{"shape":[2],"data_offsets":[0,2]}}`, "ab"), "dtype is missing"},
		{"no shape", raw(`{"a":{"dtype":"U8","data_offsets":[0,2]}}`, "ab"), "shape is missing"},
		{"no offsets", raw(`{"a":{"dtype":"U8","shape":[2]}}`, "ab"), "data_offsets is missing"},
		{"unknown dtype", raw(`{"a":{"dtype":"U9","shape":[2],"data_offsets":[0,2]}}`, "ab"), "unknown"},
		{"dtype of ours", raw(`{"a":{"dtype":"i4","shape":[2],"data_offsets":[0,1]}}`, "a"), "unknown"},
		{"complex", raw(`{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}`, "abcdefgh"), "not supported"},
		{"shape null", raw(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,2]}}`, "ab"), "want '['"},
		{"negative dim", raw(`{"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}`, "ab"), "not an integer"},
		{"two negative dims", raw(`{"a":{"dtype":"U8","shape":[-2,-1],"data_offsets":[0,2]}}`, "ab"), "not an integer"},
		{"fractional dim", raw(`{"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}`, "ab"), "not an integer"},
		{"exponent dim", raw(`{"a":{"dtype":"U8","shape":[2e0],"data_offsets":[0,2]}}`, "ab"), "not an integer"},
		{"huge dim", raw(`{"a":{"dtype":"U8","shape":[18446744073709551618],"data_offsets":[0,2]}}`, "ab"), "not an integer"},
		{"product overflows", raw(`{"a":{"dtype":"U8","shape":[4294967296,4294967296,2],"data_offsets":[0,0]}}`, ""), "too large"},
		{"product overflows to size", raw(`{"a":{"dtype":"U8","shape":[6148914691236517206,3],"data_offsets":[0,2]}}`, "ab"), "too large"},
		{"bytes overflow", raw(`{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}`, ""), "too large"},
		{"huge empty", raw(`{"a":{"dtype":"F64","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0]}}`, ""), "too large"},
		{"shape needs more", raw(`{"a":{"dtype":"U16","shape":[2],"data_offsets":[0,2]}}`, "ab"), "takes 4 bytes"},
		{"shape needs less", raw(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,2]}}`, "ab"), "takes 1 bytes"},
		{"offsets reversed", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}`, "ab"), "begin and an end"},
		{"one offset", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[2]}}`, "ab"), "begin and an end"},
		{"three offsets", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,2]}}`, "ab"), "begin and an end"},
		{"negative offset", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[-2,0]}}`, "ab"), "not an integer"},
		{"hole at the beginning", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "ab"), "gap"},
		{"hole", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, "abc"), "gap"},
		{"hole at the end", raw(ok, "abc"), "more after the data|a file of"},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "abc"), "overlaps"},
		{"same data twice", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, "ab"), "overlaps"},
		{"data is missing", raw(`{"a":{"dtype":"F32","shape":[17592186044000],"data_offsets":[0,70368744176000]}}`, "ab"), "ends after|a file of"},
		{"offset near 2^63", raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[9223372036854775807,9223372036854775807]}}`, ""), "gap"},
		{"bool of 2", raw(`{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}`, "\x01\x02"), "not 0 or 1"},
		{"half a byte", raw(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, "ab"), "whole bytes"},
		{"deep", raw(`{"a":`+strings.Repeat("[", 1<<20), ""), "want '{'"},
	}
	for _, test := range tests {
		for _, size := range []int64{-1, int64(len(test.file))} {
			f, err := safetensors.Read(bytes.NewReader(test.file), size)
			if err == nil {
				t.Errorf("%s: no error, got %v", test.name, f)
				continue
			}
			if !errors.Is(err, safetensors.ErrFormat) {
				t.Errorf("%s: %v is not an ErrFormat", test.name, err)
			}
			if !slices.ContainsFunc(strings.Split(test.want, "|"), func(s string) bool { return strings.Contains(err.Error(), s) }) {
				t.Errorf("%s: got %q, want %q", test.name, err, test.want)
			}
		}
	}
	if _, err := safetensors.Read(bytes.NewReader(raw(ok, "ab")), -1); err != nil {
		t.Errorf("the file that the cases are made from: %v", err)
	}
}

// TestTruncated cuts a file at every byte.
func TestTruncated(t *testing.T) {
	file := write(t, sample(t), map[string]string{"a": "b"})
	for n := range file {
		for _, size := range []int64{-1, int64(n), int64(len(file))} {
			if _, err := safetensors.Read(bytes.NewReader(file[:n]), size); !errors.Is(err, safetensors.ErrFormat) {
				t.Fatalf("cut at %d of %d, size %d: got error %v", n, len(file), size, err)
			}
		}
	}
}

// TestMemory reads files that claim to be much larger than they are.
func TestMemory(t *testing.T) {
	for name, file := range map[string][]byte{
		"header": append(binary.LittleEndian.AppendUint64(nil, safetensors.MaxHeader), '{'),
		"data":   raw(`{"a":{"dtype":"U8","shape":[70368744177000],"data_offsets":[0,70368744177000]}}`, "ab"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := safetensors.Read(bytes.NewReader(file), -1); err == nil {
			t.Errorf("%s: no error", name)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: took %d bytes of memory", name, took)
		}
	}
}

func TestReadError(t *testing.T) {
	file := write(t, sample(t), nil)
	broken := errors.New("broken")
	for _, n := range []int{0, 4, 8, 20, len(file) - 1, len(file)} {
		r := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken))
		if _, err := safetensors.Read(r, -1); !errors.Is(err, broken) || errors.Is(err, safetensors.ErrFormat) {
			t.Errorf("after %d bytes: got %v", n, err)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	x := value.Scalar(float32(1))
	zeros := func(dt value.DType, shape ...int) *value.Tensor {
		return must[*value.Tensor](t)(value.New(dt, shape...))
	}
	for _, test := range []struct {
		tensors  []safetensors.Named
		metadata map[string]string
		want     string
	}{
		{[]safetensors.Named{{"a", x}, {"a", x}}, nil, "two tensors"},
		{[]safetensors.Named{{"__metadata__", x}}, nil, "reserved"},
		{[]safetensors.Named{{"a\xff", x}}, nil, "UTF-8"},
		{[]safetensors.Named{{"a", nil}}, nil, "nil"},
		{[]safetensors.Named{{"a", value.Scalar("text")}}, nil, "no dtype string"},
		{[]safetensors.Named{{"a", zeros(value.I4, 2)}}, nil, "no dtype i4"},
		{[]safetensors.Named{{"a", zeros(value.U2, 4)}}, nil, "no dtype u2"},
		{[]safetensors.Named{{"a", zeros(value.F4E2M1, 3)}}, nil, "whole bytes"},
		{nil, map[string]string{"\xff": ""}, "UTF-8"},
		{nil, map[string]string{"": "\xff"}, "UTF-8"},
	} {
		var buf bytes.Buffer
		err := safetensors.Write(&buf, test.tensors, test.metadata)
		if err == nil || !strings.Contains(err.Error(), test.want) || buf.Len() > 0 {
			t.Errorf("want %q, got %v and %d bytes", test.want, err, buf.Len())
		}
	}
	if err := safetensors.Write(failingWriter{}, []safetensors.Named{{"a", x}}, nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzRead checks that a file either is refused or reads, writes and reads back the same, whether its
// size is known or not.
func FuzzRead(f *testing.F) {
	f.Add(write(f, sample(f), map[string]string{"a": "b"}))
	f.Add(raw(`{"b":{"shape":[1],"dtype":"U8","data_offsets":[1,2]}, "a" : {"data_offsets":[0,1],"shape":[],"dtype":"I8"} }   `, "\x07\x08"))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[0,7],"data_offsets":[0,0]}}`, ""))
	f.Add(append(binary.LittleEndian.AppendUint64(nil, 1<<40), "{}"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := safetensors.Read(bytes.NewReader(b), int64(len(b)))
		_, err2 := safetensors.Read(bytes.NewReader(b), -1)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("sized: %v, unsized: %v", err, err2)
		}
		if err != nil {
			return
		}
		again, err := safetensors.Read(bytes.NewReader(write(t, file.Named(), file.Metadata)), -1)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(file.Metadata, again.Metadata) || !maps.EqualFunc(file.Tensors, again.Tensors, (*value.Tensor).Equal) {
			t.Fatalf("read back %v, want %v", again, file)
		}
	})
}
