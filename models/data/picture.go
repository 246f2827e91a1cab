package data

import (
	"fmt"
	"image"
	"math"
	"strings"

	"github.com/graphrun/graphrun/runtime/value"
)

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
