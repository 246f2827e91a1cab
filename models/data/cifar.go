package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

const (
	cifarPixels = 3 * 32 * 32
	// maxCIFAR is how many images are read of a file, which does not say how many it holds. Those of CIFAR hold 50000 at most.
	maxCIFAR = 60_000
)

// cifarSet is how a version of CIFAR is stored.
type cifarSet struct {
	files   []string // the last one is for the test
	labels  int      // bytes before the pixels of an image, of which the last is its class
	classes []string
}

var cifarSets = []cifarSet{
	{
		files:   strings.Fields("data_batch_1.bin data_batch_2.bin data_batch_3.bin data_batch_4.bin data_batch_5.bin test_batch.bin"),
		labels:  1,
		classes: strings.Fields("airplane automobile bird cat deer dog frog horse ship truck"),
	},
	{
		files:  strings.Fields("train.bin test.bin"),
		labels: 2,
		classes: strings.Fields(`
			apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar cattle
			chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house
			kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange
			orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
			shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
			tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm`),
	},
}

// LoadCIFAR reads CIFAR-10 or CIFAR-100, small colour pictures u8[N,3,32,32] of things and animals (A. Krizhevsky, "Learning Multiple
// Layers of Features from Tiny Images", 2009), in the binary version that www.cs.toronto.edu/~kriz/cifar.html describes. The files of the
// one and of the other are
//
//	data_batch_1.bin  ...  data_batch_5.bin  test_batch.bin
//	train.bin  test.bin
//
// in the root of fsys. A file holds images one after the other: a byte with the class, then 1024 bytes of red, of green and of blue, each row by
// row; in CIFAR-100 the byte of a coarser class, which is left out, stands before it. Files of another number of images are read too, up to
// 60000 each. Without the names of the classes, they are those of the data set. If files are missing the error, an fs.ErrNotExist,
// names all of them.
func LoadCIFAR(fsys fs.FS, classes []string) (train, test *Images, err error) {
	if fsys == nil {
		return nil, nil, errors.New("cifar: the file system is nil")
	}
	set, err := findCIFAR(fsys)
	if err != nil {
		return nil, nil, err
	}
	if len(classes) == 0 {
		classes = set.classes
	}
	last, memory := len(set.files)-1, newAllowance()
	if train, err = set.read(fsys, set.files[:last], classes, memory); err != nil {
		return nil, nil, err
	}
	if test, err = set.read(fsys, set.files[last:], classes, memory); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

// findCIFAR returns the version of CIFAR whose files are there.
func findCIFAR(fsys fs.FS) (cifarSet, error) {
	var fault []string // what is missing of the version that is there in part
	for _, set := range cifarSets {
		var missing []string
		for _, name := range set.files {
			found, err := present(fsys, name)
			if err != nil {
				return cifarSet{}, err
			}
			if found == "" {
				missing = append(missing, name)
			}
		}
		if missing == nil {
			return set, nil
		}
		if fault == nil || len(missing) < len(set.files) {
			fault = missing
		}
	}
	return cifarSet{}, fmt.Errorf("cifar: missing %s: %w", strings.Join(fault, ", "), fs.ErrNotExist)
}

// read joins the images of some files.
func (set cifarSet) read(fsys fs.FS, names, classes []string, memory *allowance) (*Images, error) {
	many := 0 // by the sizes of the files
	for _, name := range names {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: it is not a regular file", name)
		}
		many += int(min(info.Size()/int64(set.labels+cifarPixels), maxCIFAR))
	}
	if err := memory.take(many*(cifarPixels+8), fmt.Sprintf("%d images", many)); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(names, ", "), err)
	}
	in := cifarImages{pixels: make([]uint8, 0, many*cifarPixels), labels: make([]int64, 0, many), classes: len(classes), counted: many, memory: memory}
	for _, name := range names {
		if err := set.append(&in, fsys, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	x, err := value.FromSlice(in.pixels, len(in.labels), 3, 32, 32)
	if err != nil {
		return nil, err
	}
	y, err := value.FromSlice(in.labels, len(in.labels))
	if err != nil {
		return nil, err
	}
	return NewImages(x, y, classes)
}

// cifarImages are the images that have been read.
type cifarImages struct {
	pixels  []uint8
	labels  []int64
	classes int
	counted int // images whose memory has been counted
	memory  *allowance
}

// append reads the images of a file behind others. Memory that has not been taken grows with what comes.
func (set cifarSet) append(to *cifarImages, fsys fs.FS, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in, image := bufio.NewReaderSize(f, 1<<16), make([]byte, set.labels+cifarPixels)
	for i := range maxCIFAR + 1 {
		n, err := io.ReadFull(in, image)
		switch {
		case errors.Is(err, io.EOF) && i > 0:
			return nil
		case err != nil:
			return short(fmt.Sprintf("image %d", i), len(image), n, err)
		}
		label := int(image[set.labels-1])
		if label >= to.classes {
			return fmt.Errorf("image %d has the label %d: want 0 to %d, the number of a class", i, label, to.classes-1)
		}
		if len(to.labels) == to.counted { // the file has grown
			if err := to.memory.take(cifarPixels+8, fmt.Sprintf("image %d", i)); err != nil {
				return err
			}
			to.counted++
		}
		to.pixels, to.labels = append(to.pixels, image[set.labels:]...), append(to.labels, int64(label))
	}
	return fmt.Errorf("it holds more than %d images, which are as many as are read", maxCIFAR)
}
