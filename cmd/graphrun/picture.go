package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif"
	_ "image/jpeg"
	"image/png"
	"io"
	"os"
	"strings"

	"golang.org/x/image/draw"

	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/runtime/value"
)

// maxPixels bounds the pictures that are decoded: their bytes are not trusted, and a small file can declare a
// huge picture.
const maxPixels = 64 << 20

// readPicture decodes a PNG, JPEG or GIF file.
func readPicture(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cfg, format, err := image.DecodeConfig(f)
	if errors.Is(err, image.ErrFormat) {
		return nil, fmt.Errorf("%s: not a picture: want PNG, JPEG or GIF, or an array in .npy", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > maxPixels/cfg.Height {
		return nil, fmt.Errorf("%s: the %s has %d x %d pixels: want at least 1 and at most %d million", path, format, cfg.Width, cfg.Height, maxPixels>>20)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}

// pictureTensor converts a picture to f32[1,channels,h,w] as the model wants it: grey for one channel, red, green and blue for
// three. It reports whether the picture had to be resized. Where the picture is transparent, black shows.
func pictureTensor(img image.Image, pre artifact.Preprocess, channels, h, w int, invert bool) (t *value.Tensor, resized bool, err error) {
	if channels != 1 && channels != 3 {
		return nil, false, fmt.Errorf("a picture has 1 or 3 channels, the input has %d", channels)
	}
	if n := pre.Channels(); n != 0 && n != channels {
		return nil, false, fmt.Errorf("the model says that its pictures are %s, and its input has %d channels", pre.Mode, channels)
	}
	at := image.Rect(0, 0, w, h)
	resized = img.Bounds().Dx() != w || img.Bounds().Dy() != h
	if t, err = value.New(value.F32, 1, channels, h, w); err != nil {
		return nil, false, err
	}
	x, err := value.Data[float32](t)
	if err != nil {
		return nil, false, err
	}
	light := func(v uint8) float32 {
		if invert {
			v = 255 - v
		}
		return float32(v)
	}
	// Grey pictures stay in 8 bits, so that a pixel is the byte of the file, as in training.
	if channels == 1 {
		grey := image.NewGray(at)
		paint(grey, img, resized)
		for i, v := range grey.Pix {
			x[i] = light(v)
		}
	} else {
		rgb := image.NewRGBA(at)
		paint(rgb, img, resized)
		for i := range h * w {
			for c := range channels {
				x[c*h*w+i] = light(rgb.Pix[4*i+c])
			}
		}
	}
	return t, resized, pre.Apply(x, channels)
}

func paint(dst draw.Image, src image.Image, resize bool) {
	if resize {
		draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
		return
	}
	draw.Draw(dst, dst.Bounds(), src, src.Bounds().Min, draw.Src)
}

func encodePNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// asciiArt draws a picture with characters: one for two pixels above each other, since characters are about twice
// as high as wide.
func asciiArt(img image.Image) string {
	const ramp = " .:-=+*#%@"
	var b strings.Builder
	r := img.Bounds()
	light := func(x, y int) int { return int(color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y) }
	for y := r.Min.Y; y < r.Max.Y; y += 2 {
		var line []byte
		for x := r.Min.X; x < r.Max.X; x++ {
			sum, n := light(x, y), 1
			if y+1 < r.Max.Y {
				sum, n = sum+light(x, y+1), 2
			}
			line = append(line, ramp[sum/n*(len(ramp)-1)/255])
		}
		b.Write(bytes.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	return b.String()
}
