package data

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/graphrun/graphrun/graph/value"
)

// FolderOptions says how the pictures of a folder become examples.
type FolderOptions struct {
	// Channels is 1 for gray or 3 for red, green and blue. 0 stands for 1 if all pictures are gray, else for 3.
	Channels int

	// Height and Width are what every picture is resized to. 0 stands for the size that all of them have; it is an error if they differ.
	Height, Width int

	// Classes are the classes in their order, for a set of which the numbers must be those of another one. A folder of another name is
	// then an error, and a class need not have a folder. Without them, the folders are the classes, in the order of their names.
	Classes []string

	// Keep is how many bytes of memory decoded pictures may take. If all of them together take more, none is kept and each is decoded
	// whenever it is asked for. 0 stands for 256 MiB or, where memory is short, half of value.ReadLimit; a negative number for nothing.
	Keep int
}

// defaultKeep is what FolderOptions.Keep of 0 stands for.
const defaultKeep = 256 << 20

// What OpenFolder's errors wrap, for callers that can say more.
var (
	// ErrNoClasses says that there are no folders of pictures.
	ErrNoClasses = errors.New("want one folder for each class, with its pictures in it")
	// ErrSizes says that the pictures have different sizes and the options have none.
	ErrSizes = errors.New("give the size to make them all")
)

// maxDepth bounds how deep folders may lie in a class's, so that links that go round in circles come to an end.
const maxDepth = 16

// Folder is a Dataset of the pictures in a folder, as torchvision's ImageFolder: those in the folder dog, or in folders in it, are of the class
// "dog". Its examples are f32[C,H,W], bytes divided by 255, so in [0, 1], and i64[] classes.
//
// A picture is decoded when its example is asked for, which is work that a Loader's Workers do ahead.
type Folder struct {
	fsys     fs.FS
	files    []string
	lab      []int64
	classes  []string
	channels int
	height   int
	width    int
	kept     []atomic.Pointer[[]uint8] // by example; nil if none is kept
}

var (
	_ Filler   = (*Folder)(nil)
	_ Labelled = (*Folder)(nil)
)

// OpenFolder returns the dataset of the pictures CLASS/*.png, .jpg, .jpeg and .gif in fsys, such as os.DirFS("photos"). Other files are left
// alone, and so is all of which the name begins with a dot. An example of a picture that cannot be read is an error that names the
// file; pictures need not be trusted, see DecodePicture.
func OpenFolder(fsys fs.FS, opts FolderOptions) (*Folder, error) {
	switch {
	case fsys == nil:
		return nil, errors.New("folder: the file system is nil")
	case opts.Channels != 0 && opts.Channels != 1 && opts.Channels != 3:
		return nil, fmt.Errorf("folder: %d channels: want 1 or 3", opts.Channels)
	case opts.Height < 0 || opts.Width < 0 || (opts.Height == 0) != (opts.Width == 0):
		return nil, fmt.Errorf("folder: pictures of %d x %d pixels: want both sizes, or neither", opts.Width, opts.Height)
	}
	d := &Folder{fsys: fsys, classes: slices.Clone(opts.Classes), channels: opts.Channels, height: opts.Height, width: opts.Width}
	if err := d.find(); err != nil {
		return nil, err
	}
	if d.channels == 0 || d.height == 0 {
		if err := d.measure(); err != nil {
			return nil, err
		}
	}
	size, err := value.SizeBytes(value.U8, d.channels, d.height, d.width)
	if err == nil {
		err = newAllowance().fits(pixelsMemory(d.width, d.height, d.channels, d.height, d.width), fmt.Sprintf("a picture of %d x %d pixels", d.width, d.height))
	}
	if err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	if keep := cmp.Or(opts.Keep, min(defaultKeep, value.ReadLimit()/2)); size <= keep/len(d.files) {
		d.kept = make([]atomic.Pointer[[]uint8], len(d.files))
	}
	return d, nil
}

// find lists the files and their classes.
func (d *Folder) find() error {
	folders, loose, err := entries(d.fsys, ".")
	if err != nil {
		return err
	}
	if len(folders) == 0 {
		if len(loose) > 0 {
			return fmt.Errorf("folder: %s is in no folder: %w", loose[0], ErrNoClasses)
		}
		return fmt.Errorf("folder: there are no folders in it: %w", ErrNoClasses)
	}
	if len(d.classes) == 0 {
		d.classes = folders
	}
	for _, name := range folders {
		class := slices.Index(d.classes, name)
		if class < 0 {
			return fmt.Errorf("folder: %s is none of the classes: want %s", name, someOf(d.classes))
		}
		before := len(d.files)
		if err := d.walk(name, int64(class), maxDepth); err != nil {
			return err
		}
		if len(d.files) == before {
			return fmt.Errorf("folder: %s has no pictures: want .png, .jpg, .jpeg or .gif files", name)
		}
	}
	return nil
}

// walk adds the pictures in a folder and those below it, in the order of their paths.
func (d *Folder) walk(dir string, class int64, depth int) error {
	if depth == 0 {
		return fmt.Errorf("folder: %s lies more than %d folders deep", dir, maxDepth)
	}
	folders, files, err := entries(d.fsys, dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		d.files = append(d.files, path.Join(dir, name))
		d.lab = append(d.lab, class)
	}
	for _, name := range folders {
		if err := d.walk(path.Join(dir, name), class, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// entries returns the folders and the pictures in a folder, by name.
func entries(fsys fs.FS, dir string) (folders, pictures []string, err error) {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range list {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		mode := e.Type()
		if mode&fs.ModeSymlink != 0 {
			info, err := fs.Stat(fsys, path.Join(dir, name))
			if err != nil {
				return nil, nil, err
			}
			mode = info.Mode()
		}
		switch ext := strings.ToLower(path.Ext(name)); {
		case mode.IsDir():
			folders = append(folders, name)
		case ext == ".png" || ext == ".jpg" || ext == ".jpeg" || ext == ".gif":
			if !mode.IsRegular() {
				return nil, nil, fmt.Errorf("folder: %s is not a regular file", path.Join(dir, name))
			}
			pictures = append(pictures, name)
		}
	}
	return folders, pictures, nil
}

// measure sets what the options leave open to what all pictures have.
func (d *Folder) measure() error {
	gray := true
	first := ""
	var height, width int
	for i, name := range d.files {
		f, err := d.fsys.Open(name)
		if err != nil {
			return err
		}
		cfg, err := openPicture(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if i == 0 {
			first, height, width = name, cfg.Height, cfg.Width
		}
		if d.height == 0 && (cfg.Height != height || cfg.Width != width) {
			return fmt.Errorf("folder: pictures have different sizes, %s %d x %d pixels and %s %d x %d: %w",
				first, width, height, name, cfg.Width, cfg.Height, ErrSizes)
		}
		gray = gray && (cfg.ColorModel == color.GrayModel || cfg.ColorModel == color.Gray16Model)
	}
	if d.height == 0 {
		d.height, d.width = height, width
	}
	if d.channels == 0 {
		d.channels = 3
		if gray {
			d.channels = 1
		}
	}
	return nil
}

// Len returns the number of pictures.
func (d *Folder) Len() int { return len(d.files) }

// Size returns the shape of an example.
func (d *Folder) Size() (channels, height, width int) { return d.channels, d.height, d.width }

// Classes returns the name of each class.
func (d *Folder) Classes() []string { return slices.Clone(d.classes) }

// File returns the path in the folder of picture i.
func (d *Folder) File(i int) string { return d.files[i] }

func (d *Folder) label(i int) (int64, bool) { return d.lab[i], true }

// Item returns picture i, f32[C,H,W], and its class, i64[].
func (d *Folder) Item(i int) (x, y *value.Tensor, err error) { return item(d, i) }

// Fill implements Filler.
func (d *Folder) Fill(b *Batch, index []int) error {
	if err := checkIndex(index, d.Len()); err != nil {
		return err
	}
	if err := reuse(&b.X, value.F32, len(index), d.channels, d.height, d.width); err != nil {
		return err
	}
	if err := reuse(&b.Y, value.I64, len(index)); err != nil {
		return err
	}
	x, err := value.Data[float32](b.X)
	if err != nil {
		return err
	}
	y, err := value.Data[int64](b.Y)
	if err != nil {
		return err
	}
	size := d.channels * d.height * d.width
	for row, i := range index {
		pix, err := d.pixels(i)
		if err != nil {
			return err
		}
		dst := x[row*size : (row+1)*size]
		for k, v := range pix {
			dst[k] = scaled[v]
		}
		y[row] = d.lab[i]
	}
	return nil
}

// pixels returns the bytes of picture i, which are not to be changed.
func (d *Folder) pixels(i int) ([]uint8, error) {
	if d.kept != nil {
		if pix := d.kept[i].Load(); pix != nil {
			return *pix, nil
		}
	}
	f, err := d.fsys.Open(d.files[i])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := openPicture(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.files[i], err)
	}
	need := p.memory() + pixelsMemory(p.Width, p.Height, d.channels, d.height, d.width)
	if err := newAllowance().fits(need, fmt.Sprintf("%s, and making %d x %d of them,", p.what("decoding"), d.width, d.height)); err != nil {
		return nil, fmt.Errorf("%s: %w", d.files[i], err)
	}
	defer decoding.enter(need)()
	img, err := p.decode()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.files[i], err)
	}
	pix := make([]uint8, d.channels*d.height*d.width)
	pixels(pix, img, d.channels, d.height, d.width)
	if d.kept != nil {
		d.kept[i].Store(&pix)
	}
	return pix, nil
}
