package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // DecodePicture reads it
	_ "image/jpeg"
	_ "image/png"
	"io"
	"math"
	"strings"

	"golang.org/x/image/draw"

	"github.com/graphrun/graphrun/graph/value"
)

// maxPixels bounds the pictures that are decoded: their bytes are not trusted, and a small file can declare a huge picture.
const maxPixels = 64 << 20

// ErrNoPicture is in the error of DecodePicture for input in another format than those that it reads.
var ErrNoPicture = errors.New("not a picture: want PNG, JPEG or GIF")

// DecodePicture reads a PNG, a JPEG or the first frame of a GIF. The input need not be trusted: pictures of more than 64 million pixels are
// refused before memory is taken for them.
func DecodePicture(r io.Reader) (image.Image, error) {
	var head bytes.Buffer
	if _, err := pictureConfig(io.TeeReader(r, &head)); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(io.MultiReader(&head, r))
	return img, err
}

// pictureConfig reads the header of a picture.
func pictureConfig(r io.Reader) (image.Config, error) {
	cfg, format, err := image.DecodeConfig(r)
	if errors.Is(err, image.ErrFormat) {
		return cfg, ErrNoPicture
	}
	if err == nil && (cfg.Width < 1 || cfg.Height < 1 || cfg.Width > maxPixels/cfg.Height) {
		err = fmt.Errorf("the %s has %d x %d pixels: want at least 1 and at most %d million", format, cfg.Width, cfg.Height, maxPixels>>20)
	}
	return cfg, err
}

// Pixels returns a picture as bytes, u8[C,H,W]: gray for one channel, red, green and blue for three. A picture of another size is
// resized (Catmull and Rom). Where it is transparent, black shows.
func Pixels(img image.Image, channels, height, width int) (*value.Tensor, error) {
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("a picture has 1 or 3 channels, not %d", channels)
	}
	t, err := value.New(value.U8, channels, height, width)
	if err != nil {
		return nil, err
	}
	pixels(t.Bytes(), img, channels, height, width)
	return t, nil
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
