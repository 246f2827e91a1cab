package data

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/graphrun/graphrun/graph/value"
)

// hostileVar names the case of TestHostile that a child process reads.
const hostileVar = "GRAPHRUN_TEST_HOSTILE"

// Children get this much memory, of which readers may hold half. What the process itself has comes on top.
const (
	hostileLimit = 256 << 20
	hostileSlack = 64 << 20
)

// endless repeats a text behind another one.
type endless struct {
	head, text string
	at         int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if len(e.text) < 1<<12 {
		e.text = strings.Repeat(e.text, 1<<12)
	}
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// countingRows writes rows that differ, without end.
type countingRows struct {
	format string
	n      int
	left   []byte
}

func (c *countingRows) Read(p []byte) (int, error) {
	for len(c.left) < len(p) {
		c.left = fmt.Appendf(c.left, c.format, c.n)
		c.n++
	}
	n := copy(p, c.left)
	c.left = c.left[:copy(c.left, c.left[n:])]
	return n, nil
}

// zeroBytes are n zero bytes.
func zeroBytes(n int64) io.Reader { return io.LimitReader(&endless{text: "\x00"}, n) }

// strange is a file system of one file that is what r reads, of a mode and size.
type strange struct {
	r    func() io.Reader
	mode fs.FileMode
	size int64
}

func (s strange) Open(name string) (fs.File, error) { return &strangeFile{s, name, s.r()}, nil }

type strangeFile struct {
	strange
	name string
	in   io.Reader
}

func (f *strangeFile) Read(p []byte) (int, error) { return f.in.Read(p) }
func (f *strangeFile) Close() error               { return nil }
func (f *strangeFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *strangeFile) Name() string               { return f.name }
func (f *strangeFile) Size() int64                { return f.size }
func (f *strangeFile) Mode() fs.FileMode          { return f.mode }
func (f *strangeFile) ModTime() (t time.Time)     { return t }
func (f *strangeFile) IsDir() bool                { return f.mode.IsDir() }
func (f *strangeFile) Sys() any                   { return nil }

// packed is what gzip makes of a reader.
func packed(r io.Reader) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// idxHead is the header of bytes of a shape.
func idxHead(dims ...uint32) string {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return string(b)
}

// npyHead is what stands before the elements of an array.
func npyHead(descr, shape string) string {
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape)
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(text)), 0}) + text
}

// zipped is an archive of arrays of zeros.
func zipped(arrays ...[3]any) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, a := range arrays {
		w, err := z.Create(a[0].(string) + ".npy")
		if err == nil {
			_, err = io.Copy(w, io.MultiReader(strings.NewReader(a[1].(string)), zeroBytes(int64(a[2].(int)))))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// directoryOf is an archive of so many entries, of which there is the directory alone.
func directoryOf(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		name := fmt.Sprintf("%08d", i)
		head := make([]byte, 46)
		copy(head, "PK\x01\x02")
		binary.LittleEndian.PutUint16(head[28:], uint16(len(name)))
		b.Write(head)
		b.WriteString(name)
	}
	size := b.Len()
	// The end of a directory in zip64, its locator and the old end.
	end := make([]byte, 56+20+22)
	copy(end, "PK\x06\x06")
	binary.LittleEndian.PutUint64(end[4:], 44)
	binary.LittleEndian.PutUint64(end[24:], uint64(n))
	binary.LittleEndian.PutUint64(end[32:], uint64(n))
	binary.LittleEndian.PutUint64(end[40:], uint64(size))
	copy(end[56:], "PK\x06\x07")
	binary.LittleEndian.PutUint64(end[64:], uint64(size))
	binary.LittleEndian.PutUint32(end[72:], 1)
	copy(end[76:], "PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	return append(b.Bytes(), end...)
}

// pngOf is a PNG of zeros: of bits a sample, of a colour type with so many samples, interlaced or not. elems is how many bytes of elements it has.
func pngOf(width, height uint32, bits, colour, interlace byte, elems int64) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, body []byte) {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body))))
		b.WriteString(name)
		b.Write(body)
		b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(append([]byte(name), body...))))
	}
	head := binary.BigEndian.AppendUint32(nil, width)
	head = binary.BigEndian.AppendUint32(head, height)
	chunk("IHDR", append(head, bits, colour, 0, 0, interlace))
	var body bytes.Buffer
	w, err := zlib.NewWriterLevel(&body, zlib.BestSpeed)
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(w, zeroBytes(elems)); err != nil {
		panic(err)
	}
	w.Close()
	chunk("IDAT", body.Bytes())
	chunk("IEND", nil)
	return b.Bytes()
}

// jpegHead is the beginning of a JPEG of three colours, up to its scan.
func jpegHead(marker byte, width, height int) string {
	return "\xff\xd8\xff" + string([]byte{marker, 0, 17, 8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0}) +
		"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
}

// hostile are inputs of every kind that would take much memory, or more time than anybody has. What want begins with a ! is no error.
var hostile = []struct {
	name string
	read func() error
	want string
}{
	{"idx, packed, promises", func() error {
		_, err := ReadIDX(bytes.NewReader(packed(io.MultiReader(strings.NewReader(idxHead(50000, 256, 256)), zeroBytes(1<<20)))))
		return err
	}, "idx: u8[50000 256 256] would take 3.1 GiB: 128.0 MiB of memory are allowed"},
	{"idx, packed, holds more than it says", func() error {
		_, err := ReadIDX(bytes.NewReader(packed(io.MultiReader(strings.NewReader(idxHead(1000)), zeroBytes(1<<27)))))
		return err
	}, "idx: trailing bytes: want 1000 bytes"},
	{"idx, packed, as large as it may be", func() error {
		x, err := ReadIDX(bytes.NewReader(packed(io.MultiReader(strings.NewReader(idxHead(127<<10, 1<<10)), zeroBytes(127<<20)))))
		if err == nil {
			err = fmt.Errorf("!%d", x.Len())
		}
		return err
	}, "!133169152"},
	{"idx, endless", func() error { _, err := ReadIDX(&endless{head: idxHead(1 << 31), text: "x"}); return err }, "idx: u8[2147483648] would take 2.0 GiB: 128.0 MiB of memory are allowed"},
	{"mnist, labels", func() error {
		labels := packed(io.MultiReader(strings.NewReader(idxHead(50<<20)), zeroBytes(50<<20)))
		images := packed(io.MultiReader(strings.NewReader(idxHead(50<<20, 1, 1)), zeroBytes(50<<20)))
		_, _, err := LoadMNIST(fstest.MapFS{
			"train-images-idx3-ubyte.gz": {Data: images}, "train-labels-idx1-ubyte.gz": {Data: labels},
			"t10k-images-idx3-ubyte.gz": {Data: images}, "t10k-labels-idx1-ubyte.gz": {Data: labels},
		})
		return err
	}, "train-labels-idx1-ubyte.gz: the labels would take 800.0 MiB: 128.0 MiB of memory are allowed, of which 28.0 MiB are left"},

	{"csv, a row without end", func() error { _, err := ReadCSV(&endless{text: "1,"}, CSVOptions{}); return err }, "csv: a row has more than 1.0 MiB: is this a table?"},
	{"csv, a row of nothing", func() error { _, err := ReadCSV(&endless{text: ","}, CSVOptions{}); return err }, "csv: a row has more than 1.0 MiB: is this a table?"},
	{"csv, a quote without end", func() error {
		_, err := ReadCSV(&endless{head: "1,2\n1,\"", text: "a\n"}, CSVOptions{})
		return err
	}, "csv: a row has more than 1.0 MiB: is this a table?"},
	{"csv, zeros", func() error { _, err := ReadCSV(&endless{text: "\x00"}, CSVOptions{}); return err }, "csv: a row has more than 1.0 MiB: is this a table?"},
	{"csv, empty lines without end", func() error { _, err := ReadCSV(&endless{text: "\n"}, CSVOptions{}); return err }, "csv: a row has more than 1.0 MiB: is this a table?"},
	{"csv, rows without end", func() error { _, err := ReadCSV(&endless{text: "1,2,3,4,5,6,7,8,x\n"}, CSVOptions{}); return err }, "csv: line 1677720: its rows would take 80 bytes: 128.0 MiB of memory are allowed, of which "},
	{"csv, classes without end", func() error { _, err := ReadCSV(&countingRows{format: "1,class%d\n"}, CSVOptions{}); return err }, "would take "},
	{"csv, a file without end", func() error {
		_, err := OpenCSV(strange{func() io.Reader { return &endless{text: "1,2\n"} }, fs.ModeNamedPipe, 0}, "a.csv", CSVOptions{Regression: true})
		return err
	}, "a.csv: line "},

	{"npz, promises", func() error {
		return readArchive(zipped([3]any{"x", npyHead("<f4", "(268435456,)"), 1 << 20}, [3]any{"y", npyHead("<i8", "(1,)"), 8}))
	}, "npz: x.npy: shape [268435456] of <f4 would take 1.0 GiB: 128.0 MiB of memory are allowed"},
	{"npz, holds more than it says", func() error {
		return readArchive(zipped([3]any{"x", npyHead("<f4", "(1,)"), 1 << 29}, [3]any{"y", npyHead("<i8", "(1,)"), 8}))
	}, "npz: x.npy: the .npy file has more than 4 bytes of elements"},
	{"npz, together", func() error {
		var all [][3]any
		for _, name := range []string{"x_train", "y_train", "x_test", "y_test"} {
			all = append(all, [3]any{name, npyHead("<f8", "(9000000,)"), 72_000_000})
		}
		return readArchive(zipped(all...))
	}, "npz: y_train.npy: shape [9000000] of <f8 would take 68.7 MiB: 59.3 MiB of memory are allowed"},
	{"npz, bytes as floats", func() error {
		return readArchive(zipped([3]any{"x", npyHead("|u1", "(1048576, 60)"), 60 << 20}, [3]any{"y", npyHead("|u1", "(1048576,)"), 1 << 20}))
	}, "npz: x: u8[1048576,60] as f32 would take 240.0 MiB: 128.0 MiB of memory are allowed, of which 51.0 MiB are left"},
	{"npz, labels", func() error {
		return readArchive(zipped([3]any{"x", npyHead("<f4", "(10000000,)"), 40_000_000}, [3]any{"y", npyHead("|u1", "(10000000,)"), 10_000_000}))
	}, "npz: y: the labels would take 152.6 MiB: 128.0 MiB of memory are allowed, of which 80.3 MiB are left"},
	{"npz, a directory of entries", func() error { return readArchive(directoryOf(400_000)) }, "npz: not an .npz file: its list of entries does not fit into memory"},
	{"npz, a file without end", func() error {
		_, _, err := OpenNPZ(strange{func() io.Reader { return &endless{text: "PK\x03\x04"} }, fs.ModeNamedPipe, 0}, "a.npz", NPZOptions{})
		return err
	}, "a.npz: it is not a regular file, and would take more than the 64.0 MiB of memory that are allowed"},

	{"cifar, files as they are, but for the memory", func() error {
		_, _, err := LoadCIFAR(strange{func() io.Reader { return zeroBytes(60000 * 3073) }, 0, 60000 * 3073}, nil)
		return err
	}, "data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin: 300000 images would take 881.2 MiB: 128.0 MiB of memory are allowed"},
	{"cifar, files without end", func() error {
		_, _, err := LoadCIFAR(strange{func() io.Reader { return &endless{text: "\x00"} }, fs.ModeNamedPipe, 0}, nil)
		return err
	}, "data_batch_1.bin: it is not a regular file"},

	{"png, wide pixels", func() error { return decodeBytes(pngOf(8000, 8000, 16, 6, 0, 0)) }, "decoding the png of 8000 x 8000 pixels would take 488.3 MiB: 128.0 MiB of memory are allowed"},
	{"png, interlaced", func() error { return decodeBytes(pngOf(5000, 5000, 8, 6, 1, 0)) }, "decoding the png of 5000 x 5000 pixels would take 190.7 MiB: 128.0 MiB of memory are allowed"},
	{"png, more than it says", func() error { return decodeBytes(pngOf(1, 1, 8, 0, 0, 1<<27)) }, "png: invalid format: too much pixel data"},
	{"png, as large as it may be", func() error { return decodeBytes(pngOf(8000, 8000, 8, 0, 0, 8000*8001)) }, "!"},
	{"jpeg, progressive", func() error { return decodeBytes([]byte(jpegHead(0xc2, 4000, 4000))) }, "decoding the jpeg of 4000 x 4000 pixels would take 366.2 MiB: 128.0 MiB of memory are allowed"},
	{"jpeg, a head without end", func() error {
		_, err := DecodePicture(&endless{head: "\xff\xd8", text: "\xff\xe1\x00\x04ab"})
		return err
	}, "unexpected EOF"},
	{"gif, its canvas", func() error { return decodeBytes([]byte("GIF89a\x40\x1f\x40\x1f\x00\x00\x00")) }, "decoding the gif of 8000 x 8000 pixels would take 183.1 MiB: 128.0 MiB of memory are allowed"},
	{"folder, a tall picture", func() error {
		d, err := OpenFolder(fstest.MapFS{"a/x.png": {Data: pngOf(1, 60_000_000, 8, 0, 0, 120_000_000)}}, FolderOptions{Channels: 1, Height: 28, Width: 28})
		if err == nil {
			_, _, err = d.Item(0)
		}
		return err
	}, "a/x.png: decoding the png of 1 x 60000000 pixels, and making 28 x 28 of them, would take 53.7 GiB: 128.0 MiB of memory are allowed"},
	{"folder, a size", func() error {
		_, err := OpenFolder(fstest.MapFS{"a/x.png": {Data: pngOf(1, 1, 8, 0, 0, 2)}}, FolderOptions{Channels: 3, Height: 10000, Width: 10000})
		return err
	}, "folder: a picture of 10000 x 10000 pixels would take 667.6 MiB: 128.0 MiB of memory are allowed"},
	{"folder, many at once", func() error {
		fsys := fstest.MapFS{}
		for i := range 6 {
			fsys[fmt.Sprintf("a/%d.png", i)] = &fstest.MapFile{Data: pngOf(4500, 4500, 16, 0, 0, 4500*9001)}
		}
		d, err := OpenFolder(fsys, FolderOptions{Channels: 1, Height: 4, Width: 4})
		if err != nil {
			return err
		}
		l, err := NewLoader(d, LoaderOptions{BatchSize: 1, Workers: 6})
		if err != nil {
			return err
		}
		n := 0
		for _, err := range l.Epoch(0) {
			if err != nil {
				return err
			}
			n++
		}
		return fmt.Errorf("!%d", n)
	}, "!6"},
}

func readArchive(b []byte) error {
	_, _, err := ReadNPZ(bytes.NewReader(b), int64(len(b)), NPZOptions{})
	return err
}

func decodeBytes(b []byte) error {
	img, err := DecodePicture(bytes.NewReader(b))
	if err == nil {
		err = fmt.Errorf("!%v", img.Bounds())
	}
	return err
}

// TestHostile reads each input in a process of its own, under a limit of memory that it must keep.
func TestHostile(t *testing.T) {
	if name := os.Getenv(hostileVar); name != "" {
		for _, c := range hostile {
			if c.name == name {
				fmt.Printf("\nhostile: %d %v\n", peakMemory(), c.read())
				fmt.Printf("\npeak: %d\n", peakMemory())
			}
		}
		return
	}
	if testing.Short() {
		t.Skip("it starts a process for each input")
	}
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestHostile$", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), hostileVar+"="+c.name, "GOMEMLIMIT="+strconv.Itoa(hostileLimit))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%.2000s", err, out)
			}
			var have string
			var peak int
			lines := bufio.NewScanner(bytes.NewReader(out))
			for lines.Scan() {
				if text, ok := strings.CutPrefix(lines.Text(), "hostile: "); ok {
					_, have, _ = strings.Cut(text, " ")
				}
				if text, ok := strings.CutPrefix(lines.Text(), "peak: "); ok {
					peak, _ = strconv.Atoi(text)
				}
			}
			if !strings.Contains(have, c.want) {
				t.Errorf("%s\nwant %s", have, c.want)
			}
			if peak > hostileLimit+hostileSlack {
				t.Errorf("it took %s of memory, and the limit is %s", value.ByteText(float64(peak)), value.ByteText(hostileLimit))
			}
			t.Logf("%s: %s", value.ByteText(float64(peak)), have)
		})
	}
}

// peakMemory is how much memory the process has had at most, 0 where the system does not tell.
func peakMemory() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
