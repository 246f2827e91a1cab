package data

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/value"
)

// LoadMNIST reads the MNIST database of handwritten digits (Y. LeCun, C. Cortes, C. J. C. Burges): 60000 images to train
// and 10000 to test, u8[N,1,28,28], of the classes "0" to "9". The files are
//
//	train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
//
// in the root of fsys, each as it is or with .gz appended. A point may stand before idx, and test for t10k. Other sets of the same files can be
// read too, of any number and size of images, as long as they have ten classes. If files are missing the error, an fs.ErrNotExist, names all of
// them.
func LoadMNIST(fsys fs.FS) (train, test *Images, err error) {
	return LoadIDX(fsys, numbered(10))
}

// LoadFashionMNIST reads Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, Zalando): pictures of clothes, in files of the same
// names, numbers and sizes as those of MNIST, with the names of the clothes as classes.
func LoadFashionMNIST(fsys fs.FS) (train, test *Images, err error) {
	return LoadIDX(fsys, []string{
		"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
	})
}

// LoadIDX reads any two sets of images in files of MNIST's names, see LoadMNIST, or in those of one part of EMNIST (G. Cohen, S. Afshar, J. Tapson,
// A. van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017), such as
//
//	emnist-letters-train-images-idx3-ubyte.gz  ...  emnist-letters-test-labels-idx1-ubyte.gz
//
// The pictures in EMNIST's files lie on their side, mirrored: rows and columns are exchanged, so that they stand as those of MNIST do.
// Without the names of the classes, they are EMNIST's letters and digits, with "N/A" for class 0 of the letters, which is not in use, and else the
// numbers from "0" to the largest label.
func LoadIDX(fsys fs.FS, classes []string) (train, test *Images, err error) {
	names, part, err := findIDX(fsys)
	if err != nil {
		return nil, nil, err
	}
	if len(classes) == 0 {
		classes = emnistClasses[part]
	}
	memory := newAllowance()
	var sets [2]labelledPixels
	most := int64(-1)
	for i := range sets {
		if sets[i], err = readImages(fsys, names[2*i], names[2*i+1], memory); err != nil {
			return nil, nil, err
		}
		top, err := maxLabel(sets[i].labels)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", names[2*i+1], err)
		}
		most = max(most, top)
	}
	if len(classes) == 0 {
		classes = numbered(int(most + 1))
	}
	var images [2]*Images
	for i, s := range sets {
		if part != "" {
			if s.pixels, err = upright(s.pixels, memory); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", names[2*i], err)
			}
			sets[i].pixels = nil
		}
		labels, err := value.FromSlice(s.labels, len(s.labels))
		if err != nil {
			return nil, nil, err
		}
		if images[i], err = NewImages(s.pixels, labels, classes); err != nil {
			return nil, nil, fmt.Errorf("%s, %s: %w", names[2*i], names[2*i+1], err)
		}
	}
	return images[0], images[1], nil
}

// emnistClasses are the classes of EMNIST's parts, in the order of their numbers.
var emnistClasses = func() map[string][]string {
	const digits, upper, lower = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
	merged := strings.Split(digits+upper+"abdefghnqrt", "") // letters that look alike are one class
	return map[string][]string{
		"mnist": numbered(10), "digits": numbered(10), "balanced": merged, "bymerge": merged,
		"byclass": strings.Split(digits+upper+lower, ""),
		"letters": append([]string{"N/A"}, strings.Split(lower, "")...),
	}
}()

var idxName = regexp.MustCompile(`^(emnist-([a-z]+)-)?(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?$`)

// findIDX returns the names of the four files, images before labels and those to train on first, and the part of EMNIST that they are, "" if they
// are none.
func findIDX(fsys fs.FS) (names [4]string, part string, err error) {
	if fsys == nil {
		return names, "", errors.New("idx: the file system is nil")
	}
	list, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return names, "", err
	}
	var there []string
	prefix := ""
	for _, e := range list {
		m := idxName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if len(there) > 0 && m[1] != prefix {
			return names, "", fmt.Errorf("idx: there are the files of several sets, %s and %s: want one set in a folder", there[0], e.Name())
		}
		prefix, part = m[1], m[2]
		there = append(there, e.Name())
	}
	test := "t10k"
	if part != "" {
		test = "test"
	}
	var missing []string
	for i := range names {
		set, kind := [2]string{"train", test}[i/2], [2]string{"-images-idx3-ubyte", "-labels-idx1-ubyte"}[i%2]
		for _, s := range []string{set, strings.Replace(set, "t10k", "test", 1)} {
			for _, k := range []string{kind, strings.Replace(kind, "-idx", ".idx", 1)} {
				for _, gz := range []string{"", ".gz"} {
					if name := prefix + s + k + gz; names[i] == "" && slices.Contains(there, name) {
						names[i] = name
					}
				}
			}
		}
		if names[i] == "" {
			missing = append(missing, prefix+set+kind)
		}
	}
	if missing != nil {
		return names, "", fmt.Errorf("mnist: missing %s (with or without .gz): %w", strings.Join(missing, ", "), fs.ErrNotExist)
	}
	return names, part, nil
}

// upright exchanges the rows and the columns of images u8[N,1,H,W].
func upright(pixels *value.Tensor, memory *allowance) (*value.Tensor, error) {
	s := pixels.Shape()
	if err := memory.take(pixels.Len(), "turning the images"); err != nil {
		return nil, err
	}
	t, err := value.New(value.U8, s[0], 1, s[3], s[2])
	if err != nil {
		return nil, err
	}
	from, to, plane := pixels.Bytes(), t.Bytes(), s[2]*s[3]
	for at := 0; at < len(from); at += plane {
		for y := range s[2] {
			for x := range s[3] {
				to[at+x*s[2]+y] = from[at+y*s[3]+x]
			}
		}
	}
	return t, nil
}

// present returns the first of the names that fsys has, or "".
func present(fsys fs.FS, names ...string) (string, error) {
	for _, name := range names {
		_, err := fs.Stat(fsys, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// labelledPixels are u8[N,1,H,W] and N labels.
type labelledPixels struct {
	pixels *value.Tensor
	labels []int64
}

func readImages(fsys fs.FS, images, labels string, memory *allowance) (set labelledPixels, err error) {
	x, err := openIDX(fsys, images, memory)
	if err != nil {
		return set, err
	}
	y, err := openIDX(fsys, labels, memory)
	if err != nil {
		return set, err
	}
	xs, ys := x.Shape(), y.Shape()
	switch {
	case x.DType() != value.U8 || len(xs) != 3:
		return set, fmt.Errorf("%s: holds %v%v: want images, u8[N,H,W]", images, x.DType(), xs)
	case y.DType() != value.U8 || len(ys) != 1:
		return set, fmt.Errorf("%s: holds %v%v: want labels, u8[N]", labels, y.DType(), ys)
	case xs[0] != ys[0]:
		return set, fmt.Errorf("%s, %s: images: %d images, but %d labels", images, labels, xs[0], ys[0])
	}
	if set.pixels, err = x.Reshape(xs[0], 1, xs[1], xs[2]); err != nil {
		return set, fmt.Errorf("%s: %w", images, err)
	}
	if set.labels, err = asLabels(y, memory); err != nil {
		return set, fmt.Errorf("%s: %w", labels, err)
	}
	return set, nil
}
