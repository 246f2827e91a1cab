package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

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

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// idx returns a header of the given element type and sizes, and the elements after it.
func idx(kind byte, dims []uint32, elems ...byte) []byte {
	b := []byte{0, 0, kind, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, elems...)
}

func TestReadIDX(t *testing.T) {
	for _, tt := range []struct {
		in   []byte
		want *value.Tensor
	}{
		{idx(0x08, []uint32{2, 3}, 0, 1, 2, 253, 254, 255), tensor(t, []uint8{0, 1, 2, 253, 254, 255}, 2, 3)},
		{idx(0x09, []uint32{3}, 0x80, 0xff, 0x7f), tensor(t, []int8{-128, -1, 127}, 3)},
		{idx(0x0B, []uint32{2}, 0x12, 0x34, 0xff, 0xfe), tensor(t, []int16{0x1234, -2}, 2)},
		{idx(0x0C, []uint32{1, 2}, 0x12, 0x34, 0x56, 0x78, 0xff, 0xff, 0xff, 0xfd), tensor(t, []int32{0x12345678, -3}, 1, 2)},
		{idx(0x0D, []uint32{2}, 0x3f, 0x80, 0, 0, 0x7f, 0x80, 0, 0), tensor(t, []float32{1, float32(math.Inf(1))}, 2)},
		{idx(0x0E, []uint32{1}, 0xc0, 0, 0, 0, 0, 0, 0, 0), tensor(t, []float64{-2}, 1)},
		{idx(0x0E, []uint32{3, 0, 2}), tensor(t, []float64{}, 3, 0, 2)},
		{idx(0x08, []uint32{1, 1, 1, 1, 1, 1, 1, 2}, 5, 6), tensor(t, []uint8{5, 6}, 1, 1, 1, 1, 1, 1, 1, 2)},
	} {
		for _, in := range [][]byte{tt.in, gzipped(t, tt.in)} {
			got, err := ReadIDX(iotest.OneByteReader(bytes.NewReader(in)))
			if err != nil {
				t.Errorf("%x: %v", in, err)
				continue
			}
			if !got.Equal(tt.want) {
				t.Errorf("%x: got %v, want %v", in, got, tt.want)
			}
		}
		var out bytes.Buffer
		if err := WriteIDX(&out, tt.want); err != nil {
			t.Error(err)
		} else if !bytes.Equal(out.Bytes(), tt.in) {
			t.Errorf("wrote %x, want %x", out.Bytes(), tt.in)
		}
	}
}

// Several blocks of input, so that memory grows.
func TestReadIDXLarge(t *testing.T) {
	const n = 300_001
	data := make([]int32, n)
	for i := range data {
		data[i] = int32(i) * 77777
	}
	want := tensor(t, data, n)
	var out bytes.Buffer
	if err := WriteIDX(&out, want); err != nil {
		t.Fatal(err)
	}
	for _, in := range []io.Reader{bytes.NewReader(out.Bytes()), bytes.NewReader(gzipped(t, out.Bytes())), iotest.HalfReader(bytes.NewReader(out.Bytes()))} {
		got, err := ReadIDX(in)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want) {
			t.Error("read other numbers than were written")
		}
	}
}

func TestReadIDXTruncated(t *testing.T) {
	whole := idx(0x0C, []uint32{2, 2}, make([]byte, 16)...)
	packed := gzipped(t, whole)
	for _, in := range [][]byte{whole, packed} {
		for n := range in {
			got, err := ReadIDX(bytes.NewReader(in[:n]))
			if !errors.Is(err, io.ErrUnexpectedEOF) || got != nil {
				t.Errorf("%d of %d bytes: got %v, %v", n, len(in), got, err)
			}
		}
		for i := range 200 {
			if _, err := ReadIDX(bytes.NewReader(append(bytes.Clone(in), make([]byte, 1+i)...))); err == nil {
				t.Errorf("%d trailing bytes: no error", 1+i)
			}
		}
	}
	for i := range packed { // a flipped bit must not crash; mostly it is found
		bad := bytes.Clone(packed)
		bad[i] ^= 0x10
		_, _ = ReadIDX(bytes.NewReader(bad))
	}
}

func TestReadIDXErrors(t *testing.T) {
	const most = math.MaxUint32
	for _, tt := range []struct {
		in   []byte
		want string
	}{
		{nil, "truncated: want 4 bytes for the magic number, 0 came"},
		{[]byte{0, 0, 8}, "want 4 bytes for the magic number, 3 came"},
		{[]byte("PK\x03\x04"), "magic number is 0x504b0304"},
		{[]byte{0, 0, 8, 0}, "rank is 0: want 1 to 8"},
		{[]byte{0, 0, 8, 9}, "rank is 9: want 1 to 8"},
		{[]byte{0, 0, 10, 1}, "element type is 0x0a: want 0x08"},
		{idx(8, []uint32{1, 2})[:9], "want 8 bytes for the sizes of 2 dimensions, 5 came"},
		{idx(8, []uint32{2, 3}, 1, 2, 3, 4), "want 6 bytes for elements of shape [2 3], 4 came"},
		{idx(0x0C, []uint32{2}, 1, 2, 3, 4, 5), "want 8 bytes for elements of shape [2], 5 came"},
		{idx(8, []uint32{2, 1}, 1, 2, 3), "trailing bytes: want 2 bytes for elements of shape [2 1]"},
		{idx(8, []uint32{0}, 1), "trailing bytes: want 0 bytes"},
		{idx(8, []uint32{most, most, most}), "too large"},
		{idx(14, []uint32{1 << 31, 1 << 30}), "too large"},
		{idx(14, []uint32{0, most, most, most}), "too large"},
		{idx(8, []uint32{most, 1 << 30}), "u8[4294967295 1073741824] would take 4096.0 PiB: "},
		{append(gzipped(t, idx(8, []uint32{1}, 1)), "more than ten bytes"...), "trailing bytes after the gzip stream"},
		{append(gzipped(t, idx(8, []uint32{1}, 1)), gzipped(t, []byte{2})...), "trailing bytes: want 1 bytes"},
		{[]byte{0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "gzip"},
		{gzipped(t, gzipped(t, idx(8, []uint32{1}, 1))), "magic number is 0x1f8b"},
	} {
		if math.MaxInt == math.MaxInt32 && strings.HasPrefix(tt.want, "want 46") {
			tt.want = "too large"
		}
		_, err := ReadIDX(bytes.NewReader(tt.in))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "idx: ") {
			t.Errorf("%x: error %v, want %q", tt.in, err, tt.want)
		}
	}

	broken := errors.New("cable pulled")
	in := io.MultiReader(bytes.NewReader(idx(8, []uint32{5}, 1, 2)), iotest.ErrReader(broken))
	if _, err := ReadIDX(in); !errors.Is(err, broken) || !strings.Contains(err.Error(), "after 2 of 5 bytes") {
		t.Errorf("error of the reader: got %v", err)
	}
}

func TestReadIDXChecksum(t *testing.T) {
	packed := gzipped(t, idx(8, []uint32{3}, 1, 2, 3))
	packed[len(packed)-5] ^= 1
	if _, err := ReadIDX(bytes.NewReader(packed)); !errors.Is(err, gzip.ErrChecksum) {
		t.Errorf("got %v, want the checksum error", err)
	}
}

// zeros counts how many zero bytes are read from it.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestReadIDXMemory(t *testing.T) {
	// A header that promises 4 GB takes memory for the bytes that come.
	lie := idx(8, []uint32{math.MaxInt32}, make([]byte, 1000)...)
	if got := allocated(func() {
		if _, err := ReadIDX(bytes.NewReader(lie)); err == nil {
			t.Error("no error")
		}
	}); got > 1<<18 {
		t.Errorf("1000 bytes took %d bytes of memory", got)
	}

	// A gzip bomb is unpacked no further than the header declares.
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	if _, err := w.Write(idx(8, []uint32{100})); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.LimitReader(&zeros{}, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(bomb.Bytes())
	if _, err := ReadIDX(in); err == nil || !strings.Contains(err.Error(), "trailing bytes") {
		t.Errorf("got %v, want an error for trailing bytes", err)
	}
	if read := bomb.Len() - in.Len(); read > bomb.Len()/2 {
		t.Errorf("read %d of %d bytes of the bomb", read, bomb.Len())
	}

	// An endless input ends where the header says.
	endless := &zeros{}
	if _, err := ReadIDX(io.MultiReader(bytes.NewReader(idx(8, []uint32{10})), endless)); err == nil || endless.read > 1<<17 {
		t.Errorf("error %v after %d bytes of an endless input", err, endless.read)
	}
}

func TestWriteIDXErrors(t *testing.T) {
	for _, tt := range []struct {
		in   *value.Tensor
		want string
	}{
		{tensor(t, []int64{1}, 1), "dtype is i64"},
		{tensor(t, []uint8{1}), "rank is 0"},
		{tensor(t, []uint8{1}, 1, 1, 1, 1, 1, 1, 1, 1, 1), "rank is 9"},
	} {
		if err := WriteIDX(io.Discard, tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want %q", tt.in, err, tt.want)
		}
	}
}

func TestOpenIDX(t *testing.T) {
	fsys := fstest.MapFS{
		"a":      {Data: gzipped(t, idx(8, []uint32{1}, 7))},
		"bad.gz": {Data: []byte("hello")},
	}
	got, err := OpenIDX(fsys, "a")
	if err != nil || !got.Equal(tensor(t, []uint8{7}, 1)) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := OpenIDX(fsys, "bad.gz"); err == nil || !strings.HasPrefix(err.Error(), "bad.gz: idx: ") {
		t.Errorf("got %v", err)
	}
	if _, err := OpenIDX(fsys, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzReadIDX(f *testing.F) {
	for kind := range idxTypes {
		b := idx(kind, []uint32{2, 1}, make([]byte, 16)...)
		f.Add(b)
		f.Add(gzipped(f, b))
		f.Add(idx(kind, []uint32{2}, make([]byte, 2*idxTypes[kind].Bits()/8)...))
	}
	f.Add(idx(8, []uint32{0, 1 << 31}))
	f.Add(idx(8, []uint32{math.MaxUint32, math.MaxUint32}))
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := ReadIDX(bytes.NewReader(in))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := WriteIDX(&out, x); err != nil {
			t.Fatal(err)
		}
		y, err := ReadIDX(&out)
		if err != nil || !y.Equal(x) {
			t.Fatalf("read %v, then wrote and read %v, %v", x, y, err)
		}
	})
}

// folder returns a folder of the data sets that GRAPHRUN_DATA holds.
func folder(t *testing.T, name string) fs.FS {
	t.Helper()
	root := os.Getenv("GRAPHRUN_DATA")
	if root == "" {
		t.Skip("set GRAPHRUN_DATA to a folder that holds mnist/ and fashion-mnist/ to run this test")
	}
	return os.DirFS(root + "/" + name)
}

// The numbers below are well known: how often each label occurs, mean and deviation of the training pixels, first labels.
func TestLoadMNIST(t *testing.T) {
	for _, tt := range []struct {
		name        string
		load        func(fs.FS) (*Images, *Images, error)
		first       []int64
		train, test []int
		mean, std   float64
		class9      string
	}{
		{
			"mnist", LoadMNIST,
			[]int64{5, 0, 4, 1, 9, 2, 1, 3},
			[]int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949},
			[]int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009},
			0.1307, 0.3081, "9",
		},
		{
			"fashion-mnist", LoadFashionMNIST,
			[]int64{9, 0, 0, 3, 0, 2, 7, 2},
			[]int{6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000},
			[]int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000},
			0.2860, 0.3530, "Ankle boot",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			train, test, err := tt.load(folder(t, tt.name))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(train.Pixels().Shape(), test.Pixels().Shape()); got != "[60000 1 28 28] [10000 1 28 28]" {
				t.Errorf("shapes are %s", got)
			}
			if got := fmt.Sprint(train.lab[:8]); got != fmt.Sprint(tt.first) {
				t.Errorf("first labels are %s", got)
			}
			for _, set := range []struct {
				images *Images
				want   []int
			}{{train, tt.train}, {test, tt.test}} {
				counts := make([]int, 10)
				for _, l := range set.images.lab {
					counts[l]++
				}
				if fmt.Sprint(counts) != fmt.Sprint(set.want) {
					t.Errorf("labels occur %v times, want %v", counts, set.want)
				}
			}
			var sum, squares float64
			for _, v := range train.pix {
				x := float64(v) / 255
				sum += x
				squares += x * x
			}
			n := float64(len(train.pix))
			mean := sum / n
			std := math.Sqrt(squares/n - mean*mean)
			if math.Abs(mean-tt.mean) > 5e-5 || math.Abs(std-tt.std) > 5e-5 {
				t.Errorf("mean %.5f, deviation %.5f", mean, std)
			}
			if got := train.Classes(); len(got) != 10 || got[9] != tt.class9 {
				t.Errorf("classes are %v", got)
			}
		})
	}
}

func TestLoadMNISTErrors(t *testing.T) {
	images := idx(8, []uint32{2, 2, 1}, 1, 2, 3, 4)
	labels := idx(8, []uint32{2}, 9, 0)
	with := func(changes map[string][]byte) fstest.MapFS {
		fsys := fstest.MapFS{}
		for name, b := range map[string][]byte{
			"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels,
			"t10k-images-idx3-ubyte": images, "t10k-labels-idx1-ubyte.gz": gzipped(t, labels),
		} {
			fsys[name] = &fstest.MapFile{Data: b}
		}
		for name, b := range changes {
			fsys[name] = &fstest.MapFile{Data: b}
			if b == nil {
				delete(fsys, name)
			}
		}
		return fsys
	}
	train, test, err := LoadMNIST(with(nil))
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 2 || fmt.Sprint(test.Pixels().Shape(), test.lab) != "[2 1 2 1] [9 0]" {
		t.Errorf("test set is %v %v", test.Pixels(), test.lab)
	}

	_, _, err = LoadMNIST(with(map[string][]byte{"train-images-idx3-ubyte": nil, "t10k-labels-idx1-ubyte.gz": nil}))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "missing train-images-idx3-ubyte, t10k-labels-idx1-ubyte (") {
		t.Errorf("missing files: %v", err)
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"train-images-idx3-ubyte", labels, "train-images-idx3-ubyte: holds u8[2]: want images"},
		{"train-labels-idx1-ubyte", images, "train-labels-idx1-ubyte: holds u8[2 2 1]: want labels"},
		{"train-labels-idx1-ubyte", idx(8, []uint32{1}, 0), "2 images, but 1 labels"},
		{"train-labels-idx1-ubyte", idx(8, []uint32{2}, 0, 10), "label 1 is 10: want 0 to 9"},
		{"train-labels-idx1-ubyte", idx(9, []uint32{2}, 0, 1), "holds i8[2]"},
		{"t10k-images-idx3-ubyte", []byte{0}, "t10k-images-idx3-ubyte: idx: truncated"},
	} {
		_, _, err := LoadMNIST(with(map[string][]byte{tt.name: tt.data}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The files of MNIST and of EMNIST are called otherwise in places. EMNIST's images have their rows and columns exchanged.
func TestIDXNames(t *testing.T) {
	images, labels := idx(8, []uint32{1, 2, 3}, 1, 2, 3, 4, 5, 6), idx(8, []uint32{1}, 3)
	set := func(names ...string) fstest.MapFS {
		fsys := fstest.MapFS{"README.md": {}}
		for i, name := range names {
			b := [][]byte{images, labels}[i%2]
			if strings.HasSuffix(name, ".gz") {
				b = gzipped(t, b)
			}
			fsys[name] = &fstest.MapFile{Data: b}
		}
		return fsys
	}
	const upright, turned = "u8[1,1,2,3] [[[[1 2 3] [4 5 6]]]]", "u8[1,1,3,2] [[[[1 4] [2 5] [3 6]]]]"
	for _, c := range []struct {
		fsys    fstest.MapFS
		images  string
		classes string // how many there are, and that of label 3
	}{
		{set("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"), upright, "4 3"},
		{set("train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"), upright, "4 3"},
		{set("train-images.idx3-ubyte.gz", "train-labels-idx1-ubyte", "test-images.idx3-ubyte", "test-labels-idx1-ubyte.gz"), upright, "4 3"},
		{set("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte.gz", "emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-test-labels-idx1-ubyte.gz"), turned, "27 c"},
		{set("emnist-balanced-train-images-idx3-ubyte", "emnist-balanced-train-labels-idx1-ubyte", "emnist-balanced-test-images-idx3-ubyte", "emnist-balanced-test-labels-idx1-ubyte.gz"), turned, "47 3"},
		{set("emnist-byclass-train-images.idx3-ubyte", "emnist-byclass-train-labels-idx1-ubyte", "emnist-byclass-test-images-idx3-ubyte", "emnist-byclass-test-labels-idx1-ubyte"), turned, "62 3"},
		{set("emnist-mnist-train-images-idx3-ubyte", "emnist-mnist-train-labels-idx1-ubyte", "emnist-mnist-test-images-idx3-ubyte", "emnist-mnist-test-labels-idx1-ubyte"), turned, "10 3"},
		{set("emnist-other-train-images-idx3-ubyte", "emnist-other-train-labels-idx1-ubyte", "emnist-other-test-images-idx3-ubyte", "emnist-other-test-labels-idx1-ubyte"), turned, "4 3"},
	} {
		train, test, err := LoadIDX(c.fsys, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, d := range []*Images{train, test} {
			if got := fmt.Sprint(len(d.Classes()), " ", d.Classes()[3]); d.Pixels().String() != c.images || got != c.classes || d.lab[0] != 3 {
				t.Errorf("%v, %s, %v", d.Pixels(), got, d.lab)
			}
		}
	}
	for want, fsys := range map[string]fstest.MapFS{
		"idx: there are the files of several sets, emnist-digits-train-images-idx3-ubyte and emnist-letters-train-labels-idx1-ubyte: want one set in a folder": set("emnist-digits-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte"),
		"idx: there are the files of several sets, emnist-digits-train-images-idx3-ubyte and train-labels-idx1-ubyte: want one set in a folder":                set("emnist-digits-train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
		"mnist: missing emnist-digits-train-labels-idx1-ubyte, emnist-digits-test-images-idx3-ubyte, emnist-digits-test-labels-idx1-ubyte (":                   set("emnist-digits-train-images-idx3-ubyte"),
	} {
		if _, _, err := LoadIDX(fsys, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// The classes of EMNIST are those that torchvision has for it.
func TestEMNISTClasses(t *testing.T) {
	const merged = "0 1 2 3 4 5 6 7 8 9 A B C D E F G H I J K L M N O P Q R S T U V W X Y Z a b d e f g h n q r t"
	for part, want := range map[string]string{
		"balanced": merged, "bymerge": merged, "digits": "0 1 2 3 4 5 6 7 8 9", "mnist": "0 1 2 3 4 5 6 7 8 9",
		"letters": "N/A a b c d e f g h i j k l m n o p q r s t u v w x y z",
		"byclass": "0 1 2 3 4 5 6 7 8 9 A B C D E F G H I J K L M N O P Q R S T U V W X Y Z a b c d e f g h i j k l m n o p q r s t u v w x y z",
	} {
		if got := strings.Join(emnistClasses[part], " "); got != want {
			t.Errorf("%s: %s", part, got)
		}
	}
}

// Sets of other numbers of classes than MNIST has.
func TestLoadIDX(t *testing.T) {
	fsys := fstest.MapFS{
		"train-images-idx3-ubyte": {Data: idx(8, []uint32{2, 1, 1}, 7, 8)}, "train-labels-idx1-ubyte": {Data: idx(8, []uint32{2}, 1, 0)},
		"t10k-images-idx3-ubyte.gz": {Data: gzipped(t, idx(8, []uint32{1, 1, 1}, 9))}, "t10k-labels-idx1-ubyte": {Data: idx(8, []uint32{1}, 2)},
	}
	for _, c := range []struct{ classes, want []string }{
		{nil, []string{"0", "1", "2"}},
		{[]string{"a", "b", "c", "d"}, []string{"a", "b", "c", "d"}},
	} {
		train, test, err := LoadIDX(fsys, c.classes)
		if err != nil || !slices.Equal(train.Classes(), c.want) || !slices.Equal(test.Classes(), c.want) {
			t.Errorf("%v, %v, %v", train, test, err)
		}
	}
	const want = "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte: images: label 0 is 2: want 0 to 1, the number of a class"
	if _, _, err := LoadIDX(fsys, []string{"a", "b"}); err == nil || err.Error() != want {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "x.gz")
	if err := os.WriteFile(path, fsys["t10k-images-idx3-ubyte.gz"].Data, 0o666); err != nil {
		t.Fatal(err)
	}
	if x, err := ReadIDXFile(path); err != nil || x.String() != "u8[1,1,1] [[[9]]]" {
		t.Error(x, err)
	}
	if _, err := ReadIDXFile(path + "x"); !os.IsNotExist(err) {
		t.Error(err)
	}
}
