package npy

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/sbinet/npyio"

	"github.com/graphrun/graphrun/graph/value"
)

func tensor[T value.Elem](t testing.TB, data []T, shape ...int) *value.Tensor {
	t.Helper()
	x, err := value.FromSlice(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// array is an array as NumPy's save writes it, without padding.
func array(descr string, fortran bool, shape string, elems string) string {
	order := "False"
	if fortran {
		order = "True"
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape)
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), byte(len(head) >> 8)}) + head + elems
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"scalar", array("<f4", false, "()", "\x00\x00\xc0\x3f"), "f32[] 1.5"},
		{"big-endian", array(">i2", false, "(2,)", "\x01\x02\xff\xff"), "i16[2] [258 -1]"},
		{"half", array("<f2", false, "(1,)", "\x00\x3c"), "f16[1] [1]"},
		{"bool", array("|b1", false, "(3,)", "\x01\x00\x01"), "bool[3] [true false true]"},
		{"Fortran", array("|u1", true, "(2, 3)", "\x01\x02\x03\x04\x05\x06"), "u8[2,3] [[1 3 5] [2 4 6]]"},
		{"Fortran, big-endian", array(">u2", true, "(2, 2)", "\x00\x01\x00\x02\x00\x03\x00\x04"), "u16[2,2] [[1 3] [2 4]]"},
		{"C", array("|u1", false, "(2, 3)", "\x01\x02\x03\x04\x05\x06"), "u8[2,3] [[1 2 3] [4 5 6]]"},
		{"empty", array("<f8", false, "(0, 3)", ""), "f64[0,3] []"},
		{"empty, Fortran", array("<f8", true, "(3, 0)", ""), "f64[3,0] []"},
		{"version 2", "\x93NUMPY\x02\x00\x3a\x00\x00\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }\n\x07", "u8[1] [7]"},
	} {
		for _, size := range []int64{int64(len(c.text)), -1} {
			got, err := Read(iotest.OneByteReader(strings.NewReader(c.text)), size)
			if err != nil || got.String() != c.want {
				t.Errorf("%s, size %d: %v, %v, want %s", c.name, size, got, err, c.want)
			}
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "not an .npy file"},
		{"other", "PK\x03\x04 a zip file", "not an .npy file"},
		{"magic only", magic + "\x01", "ends inside its header"},
		{"version 2 cut off", magic + "\x02\x00\x10\x00", "ends inside its header"},
		{"version 9", magic + "\x09\x00\x00\x00\x00\x00", "version"},
		{"short", array("<f4", false, "(2,)", "1234"), "4 bytes of elements: want 8 for shape [2] of <f4"},
		{"complex", array("<c8", false, "(1,)", "12345678"), `dtype "<c8" is not supported`},
		{"object", array("|O", false, "(1,)", "12345678"), `dtype "|O" is not supported`},
		{"bool of 2", array("|b1", false, "(1,)", "\x02"), "not 0 or 1"},
		{"negative", array("<f4", false, "(-1,)", ""), "a size is negative"},
		{"huge", array("<f4", false, "(4294967296, 4294967296, 4294967296)", ""), "too large"},
		{"promises", array("<f4", false, "(16777216,)", "1234"), "4 bytes of elements: want 67108864"},
		{"header cut off", array("<f4", false, "(1,)", "")[:40], "ends inside its header"},
		{"header damaged", "\x93NUMPY\x01\x00\x04\x00{'a'", "the header of the .npy file is damaged"},
		{"header without newline", "\x93NUMPY\x01\x00\x02\x00{}", "the header of the .npy file is damaged"},
	} {
		for _, size := range []int64{int64(len(c.text)), -1} {
			got, err := Read(strings.NewReader(c.text), size)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, size %d: %v, %v, want an error with %q", c.name, size, got, err, c.want)
			}
		}
	}
	long := array("<f4", false, "(1,)", "12345")
	for size, want := range map[int64]string{-1: "more than 4 bytes of elements", int64(len(long)): "5 bytes of elements: want 4"} {
		if _, err := Read(strings.NewReader(long), size); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a byte too many: %v, want %q", err, want)
		}
	}
	tooLong := magic + "\x02\x00\xff\xff\xff\xff{'descr': "
	for size, want := range map[int64]string{-1: "the header of the .npy file has 4294967295 bytes: want at most 65536", int64(len(tooLong)): "ends inside its header"} {
		if _, err := Read(strings.NewReader(tooLong), size); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a header too long: %v, want %q", err, want)
		}
	}
	broken := errors.New("disk on fire")
	text := array("<f4", false, "(1,)", "1234")
	for n := range len(text) {
		if _, err := Read(io.MultiReader(strings.NewReader(text[:n]), iotest.ErrReader(broken)), -1); !errors.Is(err, broken) {
			t.Errorf("an error after %d bytes: got %v", n, err)
		}
	}
}

// Tensors of every dtype and some shapes come back, and npyio reads them too.
func TestRoundTrip(t *testing.T) {
	inf := float32(math.Inf(1))
	arrays := map[string]*value.Tensor{
		"bool":    tensor(t, []bool{true, false, true}, 3),
		"i8":      tensor(t, []int8{-128, 127}, 2),
		"i16":     tensor(t, []int16{-2, 258}, 1, 2),
		"i32":     tensor(t, []int32{-3}, 1),
		"i64":     tensor(t, []int64{math.MinInt64, 1, 2, 3, 4, 5}, 3, 2),
		"u8":      tensor(t, []uint8{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2),
		"u16":     tensor(t, []uint16{65535}, 1),
		"u32":     tensor(t, []uint32{1}, 1),
		"u64":     tensor(t, []uint64{math.MaxUint64}, 1, 1, 1, 1, 1, 1),
		"f16":     tensor(t, []value.Float16{0x3c00}, 1),
		"f32":     tensor(t, []float32{inf, -0.5, 0}, 3),
		"f64":     value.Scalar(math.Pi),
		"empty":   tensor(t, []float32{}, 0, 3),
		"a/b.c d": tensor(t, []float32{1}, 1),
	}
	for name, want := range arrays {
		var b bytes.Buffer
		if err := Write(&b, want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if head := b.Len() - len(want.Bytes()); head%alignment != 0 {
			t.Errorf("%s: elements begin at %d: want a multiple of %d", name, head, alignment)
		}
		if name != "f16" {
			if _, err := npyio.NewReader(bytes.NewReader(b.Bytes())); err != nil {
				t.Errorf("%s: npyio: %v", name, err)
			}
		}
		got, err := Read(&b, int64(b.Len()))
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}

	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := WriteNPZ(w, arrays); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same arrays give different bytes")
	}
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := os.WriteFile(path, first.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b *value.Tensor) bool { return a.Equal(b) })
	got, err := ReadNPZ(path)
	if err != nil || !cmp.Equal(got, arrays, same) {
		t.Errorf("got %v, %v, want %v", got, err, arrays)
	}
	got, err = OpenNPZ(unseekable{fstest.MapFS{"x.npz": {Data: first.Bytes()}}}, "x.npz")
	if err != nil || !cmp.Equal(got, arrays, same) {
		t.Errorf("from a file system: got %v, %v, want %v", got, err, arrays)
	}
}

// unseekable is a file system whose files can be read only from front to back.
type unseekable struct{ fs.FS }

func (u unseekable) Open(name string) (fs.File, error) {
	f, err := u.FS.Open(name)
	return struct{ fs.File }{f}, err
}

func TestWriteErrors(t *testing.T) {
	deep := make([]int, 30000)
	for i := range deep {
		deep[i] = 1
	}
	for _, c := range []struct {
		t    *value.Tensor
		want string
	}{
		{nil, "the tensor is nil"},
		{tensor(t, []string{"a"}, 1), "NumPy has no dtype string"},
		{tensor(t, []value.BFloat16{1}, 1), "NumPy has no dtype bf16"},
		{tensor(t, []float32{1}, deep...), "rank 30000 does not fit"},
	} {
		if err := Write(io.Discard, c.t); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if err := WriteNPZ(io.Discard, map[string]*value.Tensor{"x": c.t}); err == nil || !strings.Contains(err.Error(), "x: npy: ") {
			t.Errorf("in an archive: %v", err)
		}
	}
	if err := WriteNPZ(io.Discard, map[string]*value.Tensor{"": value.Scalar(true)}); err == nil {
		t.Error("an array without a name: no error")
	}
	full := errors.New("disk full")
	if err := Write(failing{full}, value.Scalar(true)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	if err := os.WriteFile(path, []byte(array("|u1", false, "(2,)", "\x01\x02")), 0o666); err != nil {
		t.Fatal(err)
	}
	if x, err := ReadFile(path); err != nil || x.String() != "u8[2] [1 2]" {
		t.Errorf("%v, %v", x, err)
	}
	if x, err := Open(os.DirFS(dir), "x.npy"); err != nil || x.String() != "u8[2] [1 2]" {
		t.Errorf("%v, %v", x, err)
	}
	for _, c := range []struct {
		read func(path string) error
		name string
		want string
	}{
		{func(path string) error { _, err := ReadFile(path); return err }, "none", "there is no file "},
		{func(path string) error { _, err := ReadNPZ(path); return err }, "none", "there is no file "},
		{func(path string) error { _, err := ReadNPZ(path); return err }, "x.npy", "not an .npz file"},
		{func(path string) error { _, err := ReadFile(path); return err }, ".", "directory"},
	} {
		err := c.read(filepath.Join(dir, c.name))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if c.name == "none" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is no fs.ErrNotExist", err)
		}
	}
}

// archive is a zip archive of the given entries, deflated.
func archive(t testing.TB, entries ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.Create(e[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadNPZ(t *testing.T) {
	one := array("|u1", false, "(1,)", "\x07")
	got, err := readNPZBytes(archive(t, [2]string{"x.npy", one}, [2]string{"y", one}))
	if err != nil || len(got) != 2 || got["x"].String() != "u8[1] [7]" || got["y"].String() != "u8[1] [7]" {
		t.Errorf("%v, %v", got, err)
	}
	damaged := archive(t, [2]string{"x.npy", one})
	damaged[bytes.Index(damaged, []byte("x.npy"))+5+9] ^= 0x40
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"no archive", []byte(one), "not an .npz file"},
		{"other file", archive(t, [2]string{"readme", "hello"}), "readme: not an .npy file"},
		{"twice", archive(t, [2]string{"x.npy", one}, [2]string{"x", one}), "holds x twice"},
		{"promises", archive(t, [2]string{"x.npy", array("<f8", false, "(1048576,)", strings.Repeat("\x00", 1<<20))}), "1048576 bytes of elements: want 8388608"},
		{"overlapping", overlapping(t, 64), "its entries take more than its"},
		{"damaged", damaged, "x.npy"},
	} {
		got, err := readNPZBytes(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", c.name, got, err, c.want)
		}
	}
}

func readNPZBytes(b []byte) (map[string]*value.Tensor, error) {
	return ReadNPZFrom(bytes.NewReader(b), int64(len(b)))
}

// overlapping is an archive of n entries that all are the same bytes, so that it unpacks to n times what they do.
func overlapping(t testing.TB, n int) []byte {
	t.Helper()
	elems := make([]byte, 1<<16)
	content := []byte(array("|u1", false, "(65536,)", string(elems)))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	head := &zip.FileHeader{
		Name: "x.npy", Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content)),
	}
	w, err := z.CreateRaw(head)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	// The directory lists the one entry again and again, under names of the same length.
	at := bytes.LastIndex(b.Bytes(), []byte("PK\x01\x02"))
	end := bytes.LastIndex(b.Bytes(), []byte("PK\x05\x06"))
	entry, tail := bytes.Clone(b.Bytes()[at:end]), bytes.Clone(b.Bytes()[end:])
	out := bytes.Clone(b.Bytes()[:at])
	for i := range n {
		entry[bytes.Index(entry, []byte(".npy"))-1] = byte('A' + i)
		out = append(out, entry...)
	}
	tail[8], tail[10] = byte(n), byte(n)
	size := len(entry) * n
	tail[12], tail[13], tail[14] = byte(size), byte(size>>8), byte(size>>16)
	return append(out, tail...)
}

// fromNumPy is what NumPy 2 wrote:
//
//	np.savez_compressed("x.npz", f=np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)), s=np.float64(0.5), h=np.array([1, 2], "f2"))
const fromNumPy = `UEsDBC0AAAAIAAAAIQBdQ8uJ//////////8FABQAZi5ucHkBABAAmAAAAAAAAABTAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6XaaKuo6Cell9UUpSY
F59flJIKEg8pKk0FChdnJBakArkaRjoKxpo6CrUK5AMuBghgBmJGIGYBYiYgZgUAUEsDBC0AAAAIAAAAIQBw7pJp//////////8FABQAcy5ucHkBABAAiAAA
AAAAAABHAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5Gpo6CrUKFAEuBjB4YA8AUEsDBC0A
AAAIAAAAIQD9lr7i//////////8FABQAaC5ucHkBABAAhAAAAAAAAABIAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqSuo6Cell9UUpSYF59flJIK
EndLzClOBYoXZyQWpAL5GkY6mjoKtQoUAC4GGwYHAFBLAQItAy0AAAAIAAAAIQBdQ8uJUwAAAJgAAAAFAAAAAAAAAAAAAACAAQAAAABmLm5weVBLAQItAy0A
AAAIAAAAIQBw7pJpRwAAAIgAAAAFAAAAAAAAAAAAAACAAYoAAABzLm5weVBLAQItAy0AAAAIAAAAIQD9lr7iSAAAAIQAAAAFAAAAAAAAAAAAAACAAQgBAABo
Lm5weVBLBQYAAAAAAwADAJkAAACHAQAAAAA=`

func TestReadNumPysOwn(t *testing.T) {
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(fromNumPy, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readNPZBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"f": "i32[2,3] [[0 1 2] [3 4 5]]", "s": "f64[] 0.5", "h": "f16[2] [1 2]"} {
		if got[name].String() != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(array("<f4", false, "(1, 2)", "12345678")))
	f.Add([]byte(array(">i8", true, "()", "12345678")))
	f.Add([]byte(array(">i2", true, "(2, 2)", "12345678")))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := Read(bytes.NewReader(text), int64(len(text)))
		if err == nil && len(x.Bytes()) > len(text) {
			t.Errorf("%d bytes gave a tensor of %d", len(text), len(x.Bytes()))
		}
		y, unsized := Read(bytes.NewReader(text), -1)
		if (err == nil) != (unsized == nil) || err == nil && !x.Equal(y) {
			t.Errorf("with the size %v, %v; without %v, %v", x, err, y, unsized)
		}
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, x); err != nil {
			t.Fatal(err)
		}
		if again, err := Read(&b, int64(b.Len())); err != nil || !again.Equal(x) {
			t.Errorf("%v came back as %v, %v", x, again, err)
		}
	})
}

func FuzzReadNPZ(f *testing.F) {
	one := array("|u1", false, "(1,)", "\x07")
	f.Add(archive(f, [2]string{"x.npy", one}, [2]string{"y", one}))
	f.Add(overlapping(f, 3))
	f.Fuzz(func(t *testing.T, in []byte) {
		arrays, err := readNPZBytes(in)
		if err != nil {
			return
		}
		total := 0
		for _, x := range arrays {
			total += len(x.Bytes())
		}
		if total > 1100*len(in) { // deflate's ratio is at most 1032
			t.Errorf("%d bytes gave tensors of %d", len(in), total)
		}
	})
}
