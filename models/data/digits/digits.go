// Package digits draws a set of synthetic digits in the manner of MNIST, so that a model can be trained and tried without
// downloading anything. Here two rows of pixels are a line of text:
//
//	images, err := digits.Generate(digits.Options{N: 100, Seed: 1})
//	img, label, err := images.Gray(2)
//	fmt.Println("image 2 of", images.Len(), "shows a", label)
//	for y := 4; y < 28; y += 2 {
//		line := ""
//		for x := range 28 {
//			light := int(img.GrayAt(x, y).Y) + int(img.GrayAt(x, y+1).Y)
//			line += string(" .:+#"[light*5/511])
//		}
//		fmt.Println(strings.TrimRight(line, " "))
//	}
//
// prints
//
//	image 2 of 100 shows a 2
//	        +++:::+#+
//	       .#.     :##
//	        +      .##
//	               +#:
//	             .+#.
//	            +#:
//	          :#:
//	        .++
//	        ##++++++###.
//	        .....
//
// An image is 28x28 grey, light ink on a black (0) background: a digit of the Go fonts fitted into a box of about 20x20
// pixels, then rotated, sheared, scaled, shifted and distorted elastically as in Simard, Steinkraus and Platt, "Best
// Practices for Convolutional Neural Networks Applied to Visual Document Analysis" (ICDAR 2003), with varied stroke weight,
// sharpness and brightness and a little grain. The Go fonts slash their zeros; half of the zeros here have no slash.
//
// The fonts fall into two families: a model is trained on the Go Mono fonts (TrainFonts) and tested on the proportional Go
// fonts (HeldOutFonts), whose shapes it has not seen: they have fewer serifs. LeNet-5 gets about 99 % of the test images of
// Load right after two epochs. The other way round it is harder, since a 3 with serifs is close to an 8.
//
// Images depend on nothing but the options: the arithmetic is arranged to round alike on every machine, and every image
// has its own random stream, whatever the number of processors.
package digits

import (
	"fmt"
	"image"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
)

// The size and the seeds of the set that Load returns.
const (
	TrainSize = 20000
	TestSize  = 2400

	trainSeed = 1
	testSeed  = 2
)

// maxN bounds Options.N: the images then take less than 8 GB.
const maxN = 10_000_000

const trainFonts = 4

// Fonts returns the names of all fonts, such as "gomono": the training fonts, then those held out.
func Fonts() []string {
	names := make([]string, len(fonts))
	for i, f := range fonts {
		names[i] = f.name
	}
	return names
}

// TrainFonts returns the names of the Go Mono fonts: regular and bold, upright and italic.
func TrainFonts() []string { return Fonts()[:trainFonts:trainFonts] }

// HeldOutFonts returns the names of the proportional Go fonts: regular, medium and bold, upright and italic.
func HeldOutFonts() []string { return Fonts()[trainFonts:] }

// Options says what Generate draws.
type Options struct {
	N     int      // how many images, 1 to 10 million
	Seed  uint64   // another seed gives other images
	Fonts []string // names of fonts to draw with; nil means TrainFonts
}

// Generate draws opts.N images, u8[N,1,28,28], with labels i64[N] and the classes "0" to "9". Label and font take turns:
// image i shows digit i%10 in font i/10 modulo the number of fonts, so classes and fonts are balanced; a data.Loader
// shuffles them. A smaller N gives the first images of a larger one. It uses all processors.
func Generate(opts Options) (*data.Images, error) {
	if opts.N < 1 || opts.N > maxN {
		return nil, fmt.Errorf("digits: cannot draw %d images: want 1 to %d", opts.N, maxN)
	}
	names := opts.Fonts
	if names == nil {
		names = TrainFonts()
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("digits: the list of fonts is empty: want nil or some of %v", Fonts())
	}
	faces, err := facesOf(names)
	if err != nil {
		return nil, err
	}

	pix := make([]uint8, opts.N*side*side)
	labels := make([]int64, opts.N)
	const chunk = 64 // images that a worker takes at a time
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (opts.N+chunk-1)/chunk) {
		workers.Go(func() {
			var a artist
			for {
				hi := int(next.Add(chunk))
				if hi-chunk >= opts.N {
					return
				}
				for i := hi - chunk; i < min(hi, opts.N); i++ {
					label := i % 10
					labels[i] = int64(label)
					f := faces[i/10%len(faces)]
					a.draw(pix[i*side*side:(i+1)*side*side], f, label, opts.Seed, uint64(i))
				}
			}
		})
	}
	workers.Wait()

	x, err := value.FromSlice(pix, opts.N, 1, side, side)
	if err != nil {
		return nil, fmt.Errorf("digits: %w", err)
	}
	y, err := value.FromSlice(labels, opts.N)
	if err != nil {
		return nil, fmt.Errorf("digits: %w", err)
	}
	classes := make([]string, 10)
	for i := range classes {
		classes[i] = strconv.Itoa(i)
	}
	return data.NewImages(x, y, classes)
}

// facesOf prepares the named fonts, side by side.
func facesOf(names []string) ([]*face, error) {
	faces := make([]*face, len(names))
	errs := make([]error, len(names))
	var workers sync.WaitGroup
	for i, name := range names {
		workers.Go(func() { faces[i], errs[i] = faceOf(name) })
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return faces, nil
}

// Load draws the standard set: TrainSize images in the training fonts and TestSize images in the fonts held out, always
// the same.
func Load() (train, test *data.Images, err error) { return LoadFirst(TrainSize) }

// LoadFirst draws the first n images of each set of Load, all of one that has no more. It takes as much less time.
func LoadFirst(n int) (train, test *data.Images, err error) {
	if train, err = Generate(Options{N: min(n, TrainSize), Seed: trainSeed}); err != nil {
		return nil, nil, err
	}
	if test, err = Generate(Options{N: min(n, TestSize), Seed: testSeed, Fonts: HeldOutFonts()}); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

// Sample draws one 28x28 image of a digit, 0 to 9, in the named font, distorted as Generate does.
func Sample(label int, seed uint64, font string) (*image.Gray, error) {
	if label < 0 || label > 9 {
		return nil, fmt.Errorf("digits: cannot draw label %d: want 0 to 9", label)
	}
	f, err := faceOf(font)
	if err != nil {
		return nil, err
	}
	img := image.NewGray(image.Rect(0, 0, side, side))
	var a artist
	a.draw(img.Pix, f, label, seed, uint64(label))
	return img, nil
}
