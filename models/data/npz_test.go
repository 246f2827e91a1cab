package data

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/npy"
)

type arrays = map[string]*value.Tensor

// npz returns the archive of some arrays.
func npz(t testing.TB, a arrays) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := npy.WriteNPZ(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadNPZ(t *testing.T) {
	images := tensor(t, []uint8{0, 255, 51, 102, 153, 204, 0, 255, 51, 102, 153, 204}, 12)
	labels := tensor(t, []uint8{2, 0}, 2)
	for _, c := range []struct {
		name    string
		arrays  arrays
		opts    NPZOptions
		x, y    string // of train
		classes string
	}{
		{"images", arrays{"x": tensor(t, []uint8{0, 255, 51, 102}, 2, 1, 2), "y": labels}, NPZOptions{}, "f32[2,1,1,2] [[[[0 1]]] [[[0.2 0.4]]]]", "i64[2] [2 0]", "0 1 2"},
		{
			"channels first",
			arrays{"x": tensor(t, images.Bytes()[:6], 1, 3, 1, 2), "y": tensor(t, []int64{0}, 1)},
			NPZOptions{},
			"f32[1,3,1,2] [[[[0 1]] [[0.2 0.4]] [[0.6 0.8]]]]", "i64[1] [0]", "0",
		},
		{"one channel comes first", arrays{"x": tensor(t, images.Bytes()[:6], 1, 1, 2, 3), "y": tensor(t, []int64{0}, 1)}, NPZOptions{}, "f32[1,1,2,3] [[[[0 1 0.2] [0.4 0.6 0.8]]]]", "i64[1] [0]", "0"},
		{
			"channels last",
			arrays{"x": tensor(t, images.Bytes(), 1, 2, 2, 3), "y": tensor(t, []int64{0}, 1)},
			NPZOptions{},
			"f32[1,3,2,2] [[[[0 0.4] [0 0.4]] [[1 0.6] [1 0.6]] [[0.2 0.8] [0.2 0.8]]]]", "i64[1] [0]", "0",
		},
		{"bytes", arrays{"x": tensor(t, []uint8{0, 255}, 1, 2), "y": tensor(t, []int8{1}, 1)}, NPZOptions{}, "f32[1,2] [[0 1]]", "i64[1] [1]", "0 1"},
		{"floats", arrays{"x": tensor(t, []float32{0, 255}, 1, 2), "y": tensor(t, []uint64{1}, 1, 1)}, NPZOptions{}, "f32[1,2] [[0 255]]", "i64[1] [1]", "0 1"},
		{"doubles", arrays{"x": tensor(t, []float64{0.1, -1e300}, 1, 2), "y": tensor(t, []int32{0}, 1)}, NPZOptions{}, "f32[1,2] [[0.1 -inf]]", "i64[1] [0]", "0"},
		{"halves", arrays{"x": tensor(t, []value.Float16{0x3c00}, 1), "y": tensor(t, []uint16{0}, 1)}, NPZOptions{}, "f32[1] [1]", "i64[1] [0]", "0"},
		{"integers", arrays{"x": tensor(t, []int64{7, 8}, 1, 2), "y": tensor(t, []uint32{0}, 1)}, NPZOptions{}, "i64[1,2] [[7 8]]", "i64[1] [0]", "0"},
		{"named classes", arrays{"x": tensor(t, []float32{1}, 1), "y": tensor(t, []int64{1}, 1)}, NPZOptions{Classes: []string{"a", "b", "c"}}, "f32[1] [1]", "i64[1] [1]", "a b c"},
		{"numbers", arrays{"x": tensor(t, []float32{1, 2}, 2), "y": tensor(t, []float64{0.5, -1}, 2)}, NPZOptions{}, "f32[2] [1 2]", "f32[2,1] [[0.5] [-1]]", ""},
		{"several numbers", arrays{"x": tensor(t, []float32{1}, 1), "y": tensor(t, []float32{1, 2}, 1, 2)}, NPZOptions{}, "f32[1] [1]", "f32[1,2] [[1 2]]", ""},
		{"integers to predict", arrays{"x": tensor(t, []uint8{255}, 1, 1, 1), "y": tensor(t, []int64{-5}, 1)}, NPZOptions{Regression: true, Classes: []string{"a"}}, "f32[1,1,1,1] [[[[1]]]]", "f32[1,1] [[-5]]", ""},
		{"rows of integers", arrays{"x": tensor(t, []float32{1}, 1), "y": tensor(t, []int64{1, 2}, 1, 2)}, NPZOptions{}, "f32[1] [1]", "f32[1,2] [[1 2]]", ""},
		{"others", arrays{"x": tensor(t, []float32{1}, 1), "y": tensor(t, []int64{0}, 1), "x_train": labels, "note": value.Scalar(true)}, NPZOptions{}, "f32[1] [1]", "i64[1] [0]", "0"},
	} {
		in := npz(t, c.arrays)
		train, test, err := ReadNPZ(bytes.NewReader(in), int64(len(in)), c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		x, y := whole(t, train)
		if x.String() != c.x || y.String() != c.y || strings.Join(train.Classes(), " ") != c.classes || test != nil {
			t.Errorf("%s: %v, %v, %q, %v", c.name, x, y, train.Classes(), test)
		}
	}
}

// As Keras's mnist.npz.
func TestNPZFiles(t *testing.T) {
	in := npz(t, arrays{
		"x_train": tensor(t, []uint8{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), "y_train": tensor(t, []uint8{1, 0}, 2),
		"x_test": tensor(t, []uint8{9, 9, 9, 9}, 1, 2, 2), "y_test": tensor(t, []uint8{2}, 1),
	})
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := os.WriteFile(path, in, 0o666); err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"a.npz": {Data: in}, "bad.npz": {Data: npz(t, arrays{"z": value.Scalar(true)})}}
	for _, open := range []func() (train, test Labelled, err error){
		func() (train, test Labelled, err error) { return OpenNPZ(fsys, "a.npz", NPZOptions{}) },
		func() (train, test Labelled, err error) { return ReadNPZFile(path, NPZOptions{}) },
	} {
		train, test, err := open()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []Labelled{train, test} {
			if got := strings.Join(d.Classes(), " "); got != "0 1 2" {
				t.Errorf("classes %s", got)
			}
		}
		x, y := whole(t, train)
		if typeOf(x) != "f32[2,1,2,2]" || y.String() != "i64[2] [1 0]" || test.Len() != 1 {
			t.Errorf("%v, %v; %d to test", x, y, test.Len())
		}
	}
	const want = "bad.npz: there is no array x_train: want x_train, y_train, x_test and y_test, or x and y, have z"
	if _, _, err := OpenNPZ(fsys, "bad.npz", NPZOptions{}); err == nil || err.Error() != want {
		t.Error(err)
	}
	if _, _, err := OpenNPZ(fsys, "none.npz", NPZOptions{}); err == nil || err.Error() != "there is no file none.npz" {
		t.Error(err)
	}
	if _, _, err := ReadNPZFile(path+"x", NPZOptions{}); !os.IsNotExist(err) && err.Error() != "there is no file "+path+"x" {
		t.Error(err)
	}
}

func TestReadNPZErrors(t *testing.T) {
	x, y := tensor(t, []float32{1, 2}, 2), tensor(t, []int64{0, 1}, 2)
	for _, c := range []struct {
		name   string
		arrays arrays
		opts   NPZOptions
		want   string
	}{
		{"x alone", arrays{"x": x}, NPZOptions{}, "there is no array y: want x_train, y_train, x_test and y_test, or x and y, have x"},
		{"no test", arrays{"x_train": x, "y_train": y}, NPZOptions{}, "there is no array x_test: want x_train, y_train, x_test and y_test, or x and y, have x_train, y_train"},
		{"rows", arrays{"x": x, "y": tensor(t, []int64{0}, 1)}, NPZOptions{}, "x is f32[2] and y i64[1]: want as many rows in both"},
		{"a scalar", arrays{"x": value.Scalar(float32(1)), "y": y}, NPZOptions{}, "x is f32[] and y i64[2]: want as many rows in both"},
		{"nothing", arrays{"x": tensor(t, []float32{}, 0, 3), "y": tensor(t, []int64{}, 0)}, NPZOptions{}, "x is f32[0,3]: there are no examples in it"},
		{"negative", arrays{"x": x, "y": tensor(t, []int32{0, -1}, 2)}, NPZOptions{}, "y: label 1 is -1: want the number of a class, 0 to 99999; are the targets numbers to predict (regression)?"},
		{"large", arrays{"x": x, "y": tensor(t, []uint64{1, math.MaxUint64}, 2)}, NPZOptions{}, "y: label 1 is 18446744073709551615: want the number of a class"},
		{"many", arrays{"x": x, "y": tensor(t, []uint32{1, math.MaxUint32}, 2)}, NPZOptions{}, "y: label 1 is 4294967295: want the number of a class, 0 to 99999; are the targets numbers to predict (regression)?"},
		{"no name", arrays{"x": x, "y": y}, NPZOptions{Classes: []string{"a"}}, "y: dataset: label 1 is 1: want 0 to 0, the number of a class"},
		{"channels", arrays{"x": tensor(t, make([]uint8, 16), 2, 2, 2, 2), "y": y}, NPZOptions{}, "x: images have 1 or 3 channels: want u8[N,H,W], u8[N,C,H,W] or u8[N,H,W,C], have u8[2,2,2,2]"},
		{"truth", arrays{"x": x, "y": tensor(t, []bool{true, false}, 2)}, NPZOptions{}, "y: bool[2] are no numbers"},
		{"an image to predict", arrays{"x": tensor(t, make([]uint8, 2), 2, 1, 1), "y": tensor(t, []int64{0, 1}, 2)}, NPZOptions{Classes: []string{"a"}}, "y: images: label 1 is 1: want 0 to 0, the number of a class"},
	} {
		in := npz(t, c.arrays)
		train, test, err := ReadNPZ(bytes.NewReader(in), int64(len(in)), c.opts)
		if err == nil || err.Error() != "npz: "+c.want || train != nil || test != nil {
			t.Errorf("%s: %v\nwant npz: %s", c.name, err, c.want)
		}
	}
	if _, _, err := ReadNPZ(strings.NewReader("PK"), 2, NPZOptions{}); err == nil || !strings.HasPrefix(err.Error(), "npz: not an .npz file") {
		t.Error(err)
	}
}

func FuzzFromArrays(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 0, 1}, uint8(0), uint8(0), uint8(2), uint8(3), false)
	f.Add([]byte{9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1}, uint8(3), uint8(1), uint8(2), uint8(1), true)
	dtypes := []value.DType{value.U8, value.I8, value.U64, value.I64, value.F16, value.F32, value.F64, value.Bool}
	f.Fuzz(func(t *testing.T, in []byte, xt, yt, a, b uint8, regression bool) {
		// The rows of x are a x b elements, those of y one; what is left over is cut.
		xd, yd := dtypes[xt%8], dtypes[yt%8]
		shape := []int{0, int(a % 5), int(b % 5), 3}[:1+int(a+b)%4]
		row, _ := value.SizeBytes(xd, append([]int{1}, shape[1:]...)...)
		n := len(in) / (row + yd.Bits()/8)
		shape[0] = n
		bools := func(dt value.DType, elems []byte) []byte {
			if dt == value.Bool {
				for i := range elems {
					elems[i] &= 1
				}
			}
			return elems
		}
		x, err := value.FromBytes(xd, bools(xd, bytes.Clone(in[:n*row])), shape...)
		if err != nil {
			t.Fatal(err)
		}
		y, err := value.FromBytes(yd, bools(yd, bytes.Clone(in[n*row:n*row+n*yd.Bits()/8])), n)
		if err != nil {
			t.Fatal(err)
		}
		train, _, err := fromArrays(arrays{"x": x, "y": y}, [][2]string{{"x", "y"}}, NPZOptions{Regression: regression}, newAllowance())
		if err != nil {
			return
		}
		bx, by := whole(t, train)
		if bx.Shape()[0] != n || by.Shape()[0] != n || (len(train.Classes()) > 0) != (yd.IsInteger() && !regression) {
			t.Fatalf("%v, %v, %d classes", bx, by, len(train.Classes()))
		}
	})
}
