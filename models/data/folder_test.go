package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/graphrun/graphrun/graph/value"
)

// flat returns a picture of one colour.
func flat(w, h int, c color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	return img
}

func grayPicture(w, h int, pix ...uint8) *image.Gray {
	return &image.Gray{Pix: pix, Stride: w, Rect: image.Rect(0, 0, w, h)}
}

func encoded(t testing.TB, format string, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 100})
	case "gif":
		err = gif.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// watched counts how often each file is opened.
type watched struct {
	fs.FS
	mu     sync.Mutex
	opened map[string]int
}

func (w *watched) Open(name string) (fs.File, error) {
	w.mu.Lock()
	w.opened[name]++
	w.mu.Unlock()
	return w.FS.Open(name)
}

// pets are two classes: gray pictures of 2 x 1 pixels, of which the first tells the number.
func pets(t testing.TB) fstest.MapFS {
	return fstest.MapFS{
		"dog/b.png":         {Data: encoded(t, "png", grayPicture(2, 1, 3, 255))},
		"dog/a.PNG":         {Data: encoded(t, "png", grayPicture(2, 1, 2, 255))},
		"cat/more/deep.png": {Data: encoded(t, "png", grayPicture(2, 1, 1, 255))},
		"cat/z.png":         {Data: encoded(t, "png", grayPicture(2, 1, 0, 255))},
		"cat/notes.txt":     {Data: []byte("none")},
		"cat/.thumb.png":    {Data: []byte("none")},
		".hidden/x.png":     {Data: []byte("none")},
		"README":            {Data: []byte("none")},
		"loose.png":         {Data: []byte("none")},
	}
}

func TestFolder(t *testing.T) {
	for _, keep := range []int{0, -1, 8, 7} {
		fsys := &watched{FS: pets(t), opened: map[string]int{}}
		d, err := OpenFolder(fsys, FolderOptions{Keep: keep})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"cat", "dog"}, d.Classes()); diff != "" {
			t.Error(diff)
		}
		for range 2 {
			x, y := whole(t, d)
			if x.DType() != value.F32 || fmt.Sprint(x.Shape(), y) != "[4 1 1 2] i64[4] [0 0 1 1]" {
				t.Fatalf("%v, %v", x, y)
			}
			for i, v := range []uint8{0, 1, 2, 3} {
				if got := x.Float64s()[2*i]; got != float64(float32(v)/255) {
					t.Errorf("picture %d (%s) begins with %v", i, d.File(i), got)
				}
			}
		}
		// The first time is for the size.
		times := 3
		if keep == 0 || keep == 8 {
			times = 2
		}
		for _, name := range []string{"cat/z.png", "dog/a.PNG"} {
			if got := fsys.opened[name]; got != times {
				t.Errorf("keep %d: %s was opened %d times, want %d", keep, name, got, times)
			}
		}
		x, y, err := d.Item(2)
		if err != nil || x.Rank() != 3 || !y.Equal(value.Scalar(int64(1))) {
			t.Errorf("%v, %v, %v", x, y, err)
		}
		if _, _, err := d.Item(4); err == nil || err.Error() != "dataset: no example 4: there are 4" {
			t.Error(err)
		}
	}
	// Nothing is opened where the options say all.
	fsys := &watched{FS: pets(t), opened: map[string]int{}}
	if _, err := OpenFolder(fsys, FolderOptions{Channels: 3, Height: 2, Width: 2}); err != nil || fsys.opened["cat/z.png"] != 0 {
		t.Error(fsys.opened, err)
	}
}

// Formats, colours and sizes.
func TestFolderPictures(t *testing.T) {
	red := flat(4, 2, color.NRGBA{R: 255, A: 255})
	fsys := fstest.MapFS{
		"a/1.png":  {Data: encoded(t, "png", red)},
		"a/2.gif":  {Data: encoded(t, "gif", red)},
		"a/3.jpeg": {Data: encoded(t, "jpeg", red)},
		"b/4.jpg":  {Data: encoded(t, "jpeg", red)},
		"b/5.png":  {Data: encoded(t, "png", flat(4, 2, color.NRGBA{R: 255, G: 255}))}, // transparent
	}
	d, err := OpenFolder(fsys, FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Len() {
		x, _, err := d.Item(i)
		if err != nil || fmt.Sprint(x.Shape()) != "[3 2 4]" {
			t.Fatal(x, err)
		}
		got := x.Float64s()
		want := [3]float64{1, 0, 0}
		if i == 4 {
			want[0] = 0
		}
		for k, v := range got {
			if diff := v - want[k/8]; diff < -0.02 || diff > 0.02 {
				t.Errorf("%s is %v", d.File(i), x)
				break
			}
		}
	}
	d, err = OpenFolder(fsys, FolderOptions{Channels: 1, Height: 1, Width: 1})
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := d.Item(0)
	if err != nil || x.String() != fmt.Sprintf("f32[1,1,1] [[[%v]]]", float32(76)/255) { // 0.299 of 255
		t.Error(x, err)
	}
	// Gray pictures among others are three channels.
	fsys["b/6.png"] = &fstest.MapFile{Data: encoded(t, "png", grayPicture(4, 2, 9, 9, 9, 9, 9, 9, 9, 9))}
	if d, err = OpenFolder(fsys, FolderOptions{}); err != nil {
		t.Fatal(err)
	}
	if x, _, err := d.Item(5); err != nil || fmt.Sprint(x.Shape()) != "[3 2 4]" || x.Float64s()[23] != float64(float32(9)/255) {
		t.Error(x, err)
	}
}

func TestFolderErrors(t *testing.T) {
	ok := &fstest.MapFile{Data: encoded(t, "png", grayPicture(2, 1, 3, 255))}
	tall := &fstest.MapFile{Data: encoded(t, "png", grayPicture(1, 2, 3, 255))}
	bad := &fstest.MapFile{Data: []byte("GIF")}
	huge := &fstest.MapFile{Data: []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00")}
	cut := &fstest.MapFile{Data: ok.Data[:len(ok.Data)-20]}
	all := FolderOptions{Channels: 1, Height: 1, Width: 1}
	deep := "a/" + strings.Repeat("d/", 20) + "x.png"
	for _, c := range []struct {
		name string
		fsys fstest.MapFS
		opts FolderOptions
		want string
	}{
		{"empty", fstest.MapFS{"x.txt": ok}, all, "folder: there are no folders in it: want one folder for each class, with its pictures in it"},
		{"no classes", fstest.MapFS{"x.png": ok}, all, "folder: x.png is in no folder: want one folder for each class, with its pictures in it"},
		{"a class without pictures", fstest.MapFS{"a/x.png": ok, "b/x.txt": ok}, all, "folder: b has no pictures: want .png, .jpg, .jpeg or .gif files"},
		{"an unknown class", fstest.MapFS{"a/x.png": ok}, FolderOptions{Classes: []string{"b", "c"}}, "folder: a is none of the classes: want b, c"},
		{"too deep", fstest.MapFS{deep: ok}, all, "folder: a" + strings.Repeat("/d", 16) + " lies more than 16 folders deep"},
		{"sizes", fstest.MapFS{"a/x.png": ok, "b/y.png": tall}, FolderOptions{}, "folder: pictures have different sizes, a/x.png 2 x 1 pixels and b/y.png 1 x 2: give the size to make them all"},
		{"no picture", fstest.MapFS{"a/x.png": bad}, FolderOptions{}, "a/x.png: not a picture: want PNG, JPEG or GIF"},
		{"huge", fstest.MapFS{"a/x.png": huge}, FolderOptions{}, "a/x.png: the gif has 65535 x 65535 pixels: want at least 1 and at most 64 million"},
		{"channels", nil, FolderOptions{Channels: 2}, "folder: 2 channels: want 1 or 3"},
		{"one size", nil, FolderOptions{Height: 2}, "folder: pictures of 0 x 2 pixels: want both sizes, or neither"},
		{"negative", nil, FolderOptions{Height: -2, Width: 1}, "folder: pictures of 1 x -2 pixels: want both sizes, or neither"},
	} {
		if _, err := OpenFolder(c.fsys, c.opts); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		file *fstest.MapFile
		want string
	}{
		{bad, "a/x.png: not a picture: want PNG, JPEG or GIF"},
		{huge, "a/x.png: the gif has 65535 x 65535 pixels: want at least 1 and at most 64 million"},
		{cut, "a/x.png: png: invalid format: unexpected EOF"},
	} {
		d, err := OpenFolder(fstest.MapFS{"a/x.png": c.file}, all)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Item(0); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
		for _, err := range newLoader(t, d, LoaderOptions{BatchSize: 1, Workers: 1}).Epoch(0) {
			if err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("the loader: %v, want %s", err, c.want)
			}
		}
	}
	if _, err := OpenFolder(os.DirFS("nowhere"), all); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestFolderClasses(t *testing.T) {
	d, err := OpenFolder(pets(t), FolderOptions{Classes: []string{"dog", "bird", "cat"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, y := whole(t, d); y.String() != "i64[4] [2 2 0 0]" {
		t.Error(y)
	}
	test, part, err := Split(d, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Subset{test, part} {
		if _, y := whole(t, s); y.String() != "i64[2] [2 0]" {
			t.Error(y)
		}
	}
}

func TestFolderLinks(t *testing.T) {
	dir := t.TempDir()
	for name, file := range pets(t) {
		path := filepath.Join(dir, "set", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("dog", filepath.Join(dir, "set", "hound")); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("no right to make links: ", err)
		}
		t.Fatal(err)
	}
	d, err := OpenFolder(os.DirFS(filepath.Join(dir, "set")), FolderOptions{})
	if err != nil || d.Len() != 6 || d.Classes()[2] != "hound" {
		t.Error(d, err)
	}
	if err := os.Symlink(".", filepath.Join(dir, "set", "dog", "round")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(os.DirFS(filepath.Join(dir, "set")), FolderOptions{}); err == nil || !strings.Contains(err.Error(), "lies more than 16 folders deep") {
		t.Error(err)
	}
}

// Workers decode ahead, and together.
func TestFolderWorkers(t *testing.T) {
	fsys := fstest.MapFS{}
	for i := range 40 {
		fsys[fmt.Sprintf("class%d/%d.png", i%3, i)] = &fstest.MapFile{Data: encoded(t, "png", grayPicture(2, 2, uint8(i), 1, 2, 3))}
	}
	var reading, most atomic.Int32
	slow := slowFS{fsys, func() {
		most.Store(max(most.Load(), reading.Add(1)))
		for range 1000 {
			runtime.Gosched()
		}
		reading.Add(-1)
	}}
	opts := FolderOptions{Channels: 1, Height: 2, Width: 2, Keep: -1}
	d, err := OpenFolder(slow, opts)
	if err != nil {
		t.Fatal(err)
	}
	base := LoaderOptions{BatchSize: 3, Shuffle: true, Seed: 5}
	want, err := copies(newLoader(t, d, base), 1, 0)
	if err != nil || len(want) != 14 {
		t.Fatal(len(want), err)
	}
	if most.Load() != 1 {
		t.Errorf("without workers %d files are read at once", most.Load())
	}
	for _, keep := range []int{-1, 0} {
		opts.Keep = keep
		if d, err = OpenFolder(slow, opts); err != nil {
			t.Fatal(err)
		}
		ahead := base
		ahead.Workers, ahead.Reuse = 4, true
		got, err := copies(newLoader(t, d, ahead), 1, 0)
		if diff := cmp.Diff(want, got, sameTensors, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	if most.Load() < 2 {
		t.Error("with workers one file is read at a time")
	}
}

// slowFS calls a function whenever a file is opened.
type slowFS struct {
	fs.FS
	open func()
}

func (s slowFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".png") {
		s.open()
	}
	return s.FS.Open(name)
}

func TestPixels(t *testing.T) {
	at := image.NewGray(image.Rect(5, 5, 7, 6)) // not at the origin
	at.Pix = []uint8{51, 255}
	for _, c := range []struct {
		img     image.Image
		c, h, w int
		want    string
	}{
		{at, 1, 1, 2, "u8[1,1,2] [[[51 255]]]"},
		{at, 3, 1, 2, "u8[3,1,2] [[[51 255]] [[51 255]] [[51 255]]]"},
		{flat(1, 1, color.NRGBA{R: 200, G: 100, B: 50, A: 255}), 3, 1, 1, "u8[3,1,1] [[[200]] [[100]] [[50]]]"},
		{flat(3, 3, color.Gray{Y: 7}), 1, 2, 1, "u8[1,2,1] [[[7] [7]]]"},
		{at, 1, 0, 3, "u8[1,0,3] []"},
	} {
		got, err := Pixels(c.img, c.c, c.h, c.w)
		if err != nil || got.String() != c.want {
			t.Errorf("%v, %v, want %s", got, err, c.want)
		}
	}
	if _, err := Pixels(at, 2, 1, 1); err == nil || err.Error() != "a picture has 1 or 3 channels, not 2" {
		t.Error(err)
	}
	if _, err := Pixels(at, 1, -1, 1); err == nil {
		t.Error("a negative size: want an error")
	}
}

func FuzzDecodePicture(f *testing.F) {
	img := flat(3, 2, color.NRGBA{R: 9, G: 8, B: 7, A: 100})
	for _, format := range []string{"png", "jpeg", "gif"} {
		f.Add(encoded(f, format, img))
	}
	f.Add(encoded(f, "png", grayPicture(2, 1, 3, 255)))
	f.Add([]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		img, err := DecodePicture(bytes.NewReader(in))
		if err != nil {
			return
		}
		if b := img.Bounds(); b.Dx()*b.Dy() > maxPixels {
			t.Fatalf("a picture of %v", b)
		}
		for _, channels := range []int{1, 3} {
			if x, err := Pixels(img, channels, 2, 3); err != nil || x.Len() != 6*channels {
				t.Fatal(x, err)
			}
		}
	})
}
