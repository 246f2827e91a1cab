package digits

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/models/data"
)

func generate(t testing.TB, opts Options) *data.Images {
	t.Helper()
	set, err := Generate(opts)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The bytes are part of the contract: a model's accuracy on this set can be compared between machines.
func TestSameBytesEverywhere(t *testing.T) {
	set := generate(t, Options{N: 200, Seed: 7, Fonts: Fonts()})
	sum := sha256.Sum256(set.Pixels().Bytes())
	const want = "03cb884d2a5474de14cce32c5beb949dd1ecc81402cf925a6715d4c8759ab606"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("sha256 of 200 images is %s, want %s", got, want)
	}
}

func TestGenerateDoesNotDependOnProcessors(t *testing.T) {
	const n = 300
	many := generate(t, Options{N: n, Seed: 3})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := generate(t, Options{N: n, Seed: 3})
	if !one.Pixels().Equal(many.Pixels()) {
		t.Error("one processor draws other images than several")
	}
	few := generate(t, Options{N: 30, Seed: 3})
	if !bytes.HasPrefix(many.Pixels().Bytes(), few.Pixels().Bytes()) {
		t.Error("30 images are not the first of 300")
	}
	other := generate(t, Options{N: 30, Seed: 4})
	if other.Pixels().Equal(few.Pixels()) {
		t.Error("two seeds draw the same images")
	}
}

func TestGenerateLooksLikeMNIST(t *testing.T) {
	const n = 1000
	set := generate(t, Options{N: n, Seed: 5, Fonts: Fonts()})
	if got := fmt.Sprint(set.Pixels().Shape(), set.Labels().Shape(), set.Classes()); got != "[1000 1 28 28] [1000] [0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("shapes and classes: %s", got)
	}
	var total, border int
	for i := range n {
		img, label, err := set.Gray(i)
		if err != nil {
			t.Fatal(err)
		}
		if label != int64(i%10) {
			t.Errorf("image %d has label %d", i, label)
		}
		brightest, lit := 0, 0
		for y := range side {
			for x := range side {
				v := int(img.GrayAt(x, y).Y)
				brightest = max(brightest, v)
				total += v
				if v > 0 {
					lit++
				}
				if x == 0 || y == 0 || x == side-1 || y == side-1 {
					border += v
				}
			}
		}
		if brightest < 60 || lit < 30 || lit > 500 {
			t.Errorf("image %d, a %d: brightest pixel %d, %d pixels lit", i, label, brightest, lit)
		}
	}
	// The mean of MNIST's pixels is 33.
	if mean := float64(total) / (n * side * side); mean < 20 || mean > 45 {
		t.Errorf("mean pixel is %.1f", mean)
	}
	if float64(border) > 0.002*float64(total) {
		t.Errorf("%d of %d of the ink lies on the border", border, total)
	}
}

func TestFonts(t *testing.T) {
	train, held := TrainFonts(), HeldOutFonts()
	if !slices.Equal(slices.Concat(train, held), Fonts()) {
		t.Errorf("training fonts %v and held out fonts %v are not all of %v", train, held, Fonts())
	}
	for _, f := range train {
		if !strings.HasPrefix(f, "gomono") {
			t.Errorf("%s is of the family held out", f)
		}
	}
	for _, f := range held {
		if strings.HasPrefix(f, "gomono") {
			t.Errorf("%s is of the training family", f)
		}
	}
	_ = append(train, "x")
	if slices.Contains(Fonts(), "x") {
		t.Error("TrainFonts returns memory of others")
	}
	seen := map[string]string{}
	for _, name := range Fonts() {
		f, err := faceOf(name)
		if err != nil {
			t.Fatal(err)
		}
		// No two fonts draw the same digits.
		key := fmt.Sprint(f.digit[4].dist)
		if seen[key] != "" {
			t.Errorf("%s and %s draw the same", name, seen[key])
		}
		seen[key] = name

		centre := point{0, 0}
		if f.digit[0].at(centre) < 0 {
			t.Errorf("%s: the zero has no slash", name)
		}
		if f.plainZero.at(centre) > -1 {
			t.Errorf("%s: the plain zero is not empty inside: %v", name, f.plainZero.at(centre))
		}
		if got, want := f.plainZero.half, f.digit[1].half; got < want/3 || got > want*3 {
			t.Errorf("%s: the stroke of the plain zero is %v wide, of the one %v", name, 2*got, 2*want)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	for _, tt := range []struct {
		opts Options
		want string
	}{
		{Options{}, "cannot draw 0 images"},
		{Options{N: -1}, "cannot draw -1 images"},
		{Options{N: math.MaxInt}, "want 1 to 10000000"},
		{Options{N: 1, Fonts: []string{}}, "the list of fonts is empty"},
		{Options{N: 1, Fonts: []string{"goregular", "comic"}}, `unknown font "comic": want one of gomono`},
	} {
		if _, err := Generate(tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Generate(%+v): error %v, want %q", tt.opts, err, tt.want)
		}
	}
	for _, label := range []int{-1, 10} {
		if _, err := Sample(label, 1, "gomono"); err == nil {
			t.Errorf("Sample(%d) draws", label)
		}
	}
	if _, err := Sample(1, 1, ""); err == nil {
		t.Error(`Sample in font "" draws`)
	}
}

func TestLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("draws thousands of images")
	}
	train, test, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != TrainSize || test.Len() != TestSize {
		t.Errorf("%d and %d images", train.Len(), test.Len())
	}
	first, err := train.Slice(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Pixels().Equal(generate(t, Options{N: 10, Seed: trainSeed, Fonts: TrainFonts()}).Pixels()) {
		t.Error("the training images are not those of Generate in the training fonts")
	}
	fewTrain, fewTest, err := LoadFirst(10)
	if err != nil {
		t.Fatal(err)
	}
	firstTest, err := test.Slice(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if !fewTrain.Pixels().Equal(first.Pixels()) || !fewTest.Pixels().Equal(firstTest.Pixels()) {
		t.Error("LoadFirst does not give the first images of Load")
	}
	if _, _, err := LoadFirst(0); err == nil {
		t.Error("LoadFirst(0) is no error")
	}
}

func TestSample(t *testing.T) {
	a, err := Sample(7, 1, "gomono")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Sample(7, 2, "gomono")
	if err != nil {
		t.Fatal(err)
	}
	if a.Bounds().Dx() != side || a.Bounds().Dy() != side || bytes.Equal(a.Pix, b.Pix) {
		t.Error("samples of two seeds should be two images of 28x28")
	}
}

func TestSinCos(t *testing.T) {
	for i := -500; i <= 500; i++ {
		x := float64(i) / 1000
		sin, cos := sinCos(x)
		if math.Abs(sin-math.Sin(x)) > 1e-12 || math.Abs(cos-math.Cos(x)) > 1e-12 {
			t.Fatalf("sinCos(%v) = %v, %v", x, sin, cos)
		}
	}
}

func TestSmoothIsGaussian(t *testing.T) {
	sum := 0.0
	for i, w := range smooth {
		sum += w
		d := float64(i - smoothRadius)
		if want := smooth[smoothRadius] * math.Exp(-d*d/32); math.Abs(w-want) > 1e-12 {
			t.Errorf("weight at %v is %v, want %v", d, w, want)
		}
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("the weights sum to %v", sum)
	}
}

// What a plain nearest-neighbour search learns from the training fonts holds for the fonts held out. A model that does
// worse has a fault.
func TestHeldOutDigitsAreRecognizable(t *testing.T) {
	if testing.Short() {
		t.Skip("compares thousands of images")
	}
	train := generate(t, Options{N: 2000, Seed: 1})
	test := generate(t, Options{N: 200, Seed: 2, Fonts: HeldOutFonts()})
	const size = side * side
	tp, sp := train.Pixels().Bytes(), test.Pixels().Bytes()
	right := 0
	for i := range test.Len() {
		best, label := math.MaxInt, 0
		for j := range train.Len() {
			sum := 0
			for k, v := range sp[i*size : (i+1)*size] {
				d := int(v) - int(tp[j*size+k])
				sum += d * d
			}
			if sum < best {
				best, label = sum, j%10
			}
		}
		if label == i%10 {
			right++
		}
	}
	t.Logf("nearest neighbour: %d of %d right", right, test.Len())
	if right*100 < test.Len()*90 {
		t.Errorf("nearest neighbour: %d of %d right, want 90 %%", right, test.Len())
	}
}

func BenchmarkDraw(b *testing.B) {
	f, err := faceOf("goregular")
	if err != nil {
		b.Fatal(err)
	}
	var a artist
	var pix [side * side]uint8
	for i := range b.N {
		a.draw(pix[:], f, i%10, 1, uint64(i))
	}
}

func BenchmarkLoad(b *testing.B) {
	for range b.N {
		if _, _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}

// Code that fuses a product with a sum would draw other bytes on some machines. This test looks at what the compiler makes
// for one of them.
func TestNothingIsFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for another machine")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command: ", err)
	}
	build := exec.Command("go", "build", "-gcflags=-S", ".")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("FMULD")) {
		t.Fatal("the listing has no multiplication: this test looks for the wrong names")
	}
	for line := range strings.Lines(string(out)) {
		for _, fused := range []string{"FMADD", "FMSUB", "FNMADD", "FNMSUB"} {
			if strings.Contains(line, "\t"+fused) {
				t.Error("fused: ", line)
			}
		}
	}
}
