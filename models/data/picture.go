package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // DecodePicture reads it
	_ "image/jpeg"
	_ "image/png"
	"io"
	"math"
	"strings"

	"golang.org/x/image/draw"

	"github.com/graphrun/graphrun/graph/value"
)

const (
	// maxPixels bounds the pictures that are decoded: their bytes are not trusted, and a small file can declare a huge picture.
	maxPixels = 64 << 20
	// maxHead bounds what stands before the size of a picture.
	maxHead = 16 << 20
)

// ErrNoPicture is in the error of DecodePicture for input in another format than those that it reads.
var ErrNoPicture = errors.New("not a picture: want PNG, JPEG or GIF")

// DecodePicture reads a PNG, a JPEG or the first frame of a GIF, on the canvas of its GIF. What a picture says of how to turn it (EXIF) does
// not count. The input need not be trusted: pictures of more than 64 million pixels, and those that take more than value.ReadLimit to decode, are
// refused before memory is taken for them.
func DecodePicture(r io.Reader) (image.Image, error) {
	p, err := openPicture(r)
	if err != nil {
		return nil, err
	}
	return p.decode()
}

// pictureFile is a picture of which the header has been read.
type pictureFile struct {
	image.Config
	format string
	head   bytes.Buffer // what has been read
	rest   io.Reader
}

// openPicture reads the header of a picture.
func openPicture(r io.Reader) (*pictureFile, error) {
	if r == nil {
		return nil, errors.New("picture: the reader is nil")
	}
	p := &pictureFile{rest: r}
	var err error
	p.Config, p.format, err = image.DecodeConfig(io.TeeReader(io.LimitReader(r, maxHead), &p.head))
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, ErrNoPicture
	case err != nil:
		return nil, err
	case p.Width < 1 || p.Height < 1 || p.Width > maxPixels/p.Height:
		return nil, fmt.Errorf("the %s has %d x %d pixels: want at least 1 and at most %d million", p.format, p.Width, p.Height, maxPixels>>20)
	}
	return p, newAllowance().fits(p.memory(), p.what("decoding"))
}

func (p *pictureFile) what(work string) string {
	return fmt.Sprintf("%s the %s of %d x %d pixels", work, p.format, p.Width, p.Height)
}

// memory is how many bytes decode takes, what it returns included.
func (p *pictureFile) memory() float64 {
	pixel := 4. // bytes
	switch p.ColorModel {
	case color.GrayModel:
		pixel = 1
	case color.Gray16Model:
		pixel = 2
	case color.RGBA64Model, color.NRGBA64Model:
		pixel = 8
	}
	switch head := p.head.Bytes(); {
	case p.format == "gif":
		pixel = 3 // the frame, its lines put into their order, the canvas
	case p.format == "png" && len(head) > 28 && head[28] != 0:
		pixel *= 2 // interlaced: the passes
	case p.format == "jpeg" && p.ColorModel == color.GrayModel:
		pixel += 4 // of coefficients, if it is progressive
	case p.format == "jpeg":
		pixel += 4
		if progressive(head) {
			pixel += 16
		}
	}
	return pixel * float64(p.Width) * float64(p.Height)
}

// progressive reports whether a JPEG, by its head, is read as a whole before it is decoded.
func progressive(head []byte) bool {
	for i := 2; i+4 <= len(head) && head[i] == 0xff; {
		switch marker := head[i+1]; {
		case marker == 0xff: // padding
			i++
			continue
		case marker == 0xc0 || marker == 0xc1:
			return false
		case marker == 0xc2:
			return true
		}
		i += 2 + int(head[i+2])<<8 + int(head[i+3])
	}
	return true
}

func (p *pictureFile) decode() (image.Image, error) {
	img, _, err := image.Decode(io.MultiReader(&p.head, p.rest))
	if err != nil {
		return nil, err
	}
	frame, ok := img.(*image.Paletted)
	canvas := image.Rect(0, 0, p.Width, p.Height)
	if p.format != "gif" || !ok || frame.Rect == canvas {
		return img, nil
	}
	// What a frame leaves of its canvas is transparent, or has the first colour where there is no transparent one.
	whole := image.NewPaletted(canvas, frame.Palette)
	for i, c := range frame.Palette {
		if _, _, _, alpha := c.RGBA(); alpha == 0 {
			for k := range whole.Pix {
				whole.Pix[k] = uint8(i)
			}
			break
		}
	}
	for y := frame.Rect.Min.Y; y < frame.Rect.Max.Y; y++ {
		copy(whole.Pix[whole.PixOffset(frame.Rect.Min.X, y):], frame.Pix[frame.PixOffset(frame.Rect.Min.X, y):][:frame.Rect.Dx()])
	}
	return whole, nil
}

// Pixels returns a picture as bytes, u8[C,H,W]: gray for one channel, red, green and blue for three. A picture of another size is
// resized (Catmull and Rom). Where it is transparent, black shows. Of 16 bits the upper 8 count. It is an error if it takes more memory
// than value.ReadLimit.
func Pixels(img image.Image, channels, height, width int) (*value.Tensor, error) {
	switch {
	case img == nil:
		return nil, errors.New("the picture is nil")
	case channels != 1 && channels != 3:
		return nil, fmt.Errorf("a picture has 1 or 3 channels, not %d", channels)
	case height < 0 || width < 0:
		return nil, fmt.Errorf("a picture of %d x %d pixels: want no negative size", width, height)
	}
	size := img.Bounds().Size()
	need := pixelsMemory(size.X, size.Y, channels, height, width)
	if err := newAllowance().fits(need, fmt.Sprintf("making %d x %d pixels of %d x %d", width, height, size.X, size.Y)); err != nil {
		return nil, err
	}
	t, err := value.New(value.U8, channels, height, width)
	if err != nil {
		return nil, err
	}
	pixels(t.Bytes(), img, channels, height, width)
	return t, nil
}

// pixelsMemory is how many bytes pixels takes to make a picture of one of fromWidth x fromHeight pixels, what it writes to included.
func pixelsMemory(fromWidth, fromHeight, channels, height, width int) float64 {
	w, h, fw, fh := float64(width), float64(height), float64(fromWidth), float64(fromHeight)
	need := float64(channels) * w * h
	if channels == 3 {
		need += 4 * w * h
	}
	if width != fromWidth || height != fromHeight {
		// The scaler has four float64 for each line of the one and column of the other, and the shares of pixels in others.
		need += 32*w*fh + 64*(fw+fh) + 32*(w+h)
	}
	return need
}

// pixels is Pixels with the bytes to write to.
func pixels(dst []uint8, img image.Image, channels, height, width int) {
	if len(dst) == 0 {
		return
	}
	at := image.Rect(0, 0, width, height)
	if channels == 1 {
		paint(&image.Gray{Pix: dst, Stride: width, Rect: at}, img)
		return
	}
	rgba := image.NewRGBA(at)
	paint(rgba, img)
	plane := width * height
	for i := range plane {
		for c := range channels {
			dst[c*plane+i] = rgba.Pix[4*i+c]
		}
	}
}

func paint(dst draw.Image, src image.Image) {
	if dst.Bounds().Size() != src.Bounds().Size() {
		draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
		return
	}
	draw.Draw(dst, dst.Bounds(), src, src.Bounds().Min, draw.Src)
}

// Picture returns an example as a picture: f32[1,H,W] as a grey one, f32[3,H,W] as one of red, green and blue, with 0 for black and 1 for
// full light. What lies outside is cut off. Bytes that were divided by 255 come back as they were.
func Picture(x *value.Tensor) (image.Image, error) {
	if x == nil || x.DType() != value.F32 || x.Rank() != 3 || x.Shape()[0] != 1 && x.Shape()[0] != 3 {
		return nil, fmt.Errorf("%s is no picture: want f32[1,H,W] or f32[3,H,W]", typeOf(x))
	}
	data, err := value.Data[float32](x)
	if err != nil {
		return nil, err
	}
	s := x.Shape()
	at := image.Rect(0, 0, s[2], s[1])
	if s[0] == 1 {
		img := image.NewGray(at)
		for i, v := range data {
			img.Pix[i] = lightness(v)
		}
		return img, nil
	}
	img := image.NewNRGBA(at)
	plane := s[1] * s[2]
	for i := range plane {
		for c := range 3 {
			img.Pix[4*i+c] = lightness(data[c*plane+i])
		}
		img.Pix[4*i+3] = 255
	}
	return img, nil
}

func lightness(v float32) uint8 {
	if !(v > 0) { // NaN too
		return 0
	}
	return uint8(math.Round(float64(min(v, 1)) * 255))
}

// typeOf is a tensor's type in words, such as f32[1,28,28].
func typeOf(x *value.Tensor) string {
	if x == nil {
		return "nil"
	}
	return x.DType().String() + strings.ReplaceAll(fmt.Sprint(x.Shape()), " ", ",")
}
