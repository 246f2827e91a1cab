package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"

	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
)

// readPicture decodes a PNG, JPEG or GIF file.
func readPicture(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := data.DecodePicture(f)
	switch {
	case errors.Is(err, data.ErrNoPicture):
		return nil, fmt.Errorf("%s: %w, or an array in .npy", path, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}

// pictureTensor converts a picture to f32[1,channels,h,w] as the model wants it, the same bits as it is given in training: grey for one channel,
// red, green and blue for three. It reports whether the picture had to be resized. Where the picture is transparent, black shows.
func pictureTensor(img image.Image, pre artifact.Preprocess, channels, h, w int, invert bool) (t *value.Tensor, resized bool, err error) {
	if n := pre.Channels(); n != 0 && n != channels {
		return nil, false, fmt.Errorf("the model declares %s pictures, but its input has %d channels", pre.Mode, channels)
	}
	pixels, err := data.Pixels(img, channels, h, w)
	if err != nil {
		return nil, false, err
	}
	resized = img.Bounds().Dx() != w || img.Bounds().Dy() != h
	if t, err = value.New(value.F32, 1, channels, h, w); err != nil {
		return nil, false, err
	}
	x, err := value.Data[float32](t)
	if err != nil {
		return nil, false, err
	}
	for i, v := range pixels.Bytes() {
		if invert {
			v = 255 - v
		}
		x[i] = float32(v)
	}
	return t, resized, pre.Apply(x, channels)
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
