package digits

import (
	"math"
	"math/rand/v2"
)

const (
	side = 28 // an image is side x side pixels

	// The elastic distortion of Simard, Steinkraus and Platt (2003): uniform displacements in [-1, 1], smoothed by a Gaussian
	// of deviation 4 pixels and multiplied by a strength, 34 in the paper and 0 to maxElastic here.
	smoothRadius = 12
	maxElastic   = 26.0

	maxTurn  = 0.16 // rotation in radians, either way
	maxShear = 0.20 // either way
	minScale = 0.85 // of width and height, drawn apart
	maxScale = 1.08
	maxShift = 1.0  // pixels, either way
	maxBold  = 0.25 // change of stroke width, as a part of it, either way
	plainly  = 0.5  // how often a zero is drawn without its slash
)

// smooth holds the Gaussian of deviation 4 at -smoothRadius ... smoothRadius, with a sum of one. It is made of products
// only: exp(-i*i/32) = q^(i*i) for q = exp(-1/32).
var smooth = func() (w [2*smoothRadius + 1]float64) {
	const q = 0.96923323447634408
	sum := 0.0
	for i := range w {
		w[i] = 1
		for range (i - smoothRadius) * (i - smoothRadius) {
			w[i] *= q
		}
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}()

var quarter = [4]point{{-0.25, -0.25}, {0.25, -0.25}, {-0.25, 0.25}, {0.25, 0.25}}

// artist draws digits; it owns the buffers that takes. It is used by one goroutine at a time.
type artist struct {
	rng     rand.PCG
	moved   [side * side]point // the displacement of each pixel, in pixels
	scratch [side * side]point
}

// uniform returns a number in [lo, hi).
func (a *artist) uniform(lo, hi float64) float64 {
	return lo + float64((hi-lo)*(float64(a.rng.Uint64()>>11)*0x1p-53))
}

// draw sets pix, side*side bytes, to one distorted digit. The result depends on the arguments alone.
func (a *artist) draw(pix []uint8, f *face, label int, seed, index uint64) {
	a.rng.Seed(seed, mix(index))

	g := &f.digit[label]
	if plain := a.uniform(0, 1) < plainly; plain && label == 0 {
		g = &f.plainZero
	}

	// A point p of the image shows the point m*(p-shift) + displacement(p) of the digit.
	sin, cos := sinCos(a.uniform(-maxTurn, maxTurn))
	shear := a.uniform(-maxShear, maxShear)
	sx, sy := a.uniform(minScale, maxScale), a.uniform(minScale, maxScale)
	shift := point{a.uniform(-maxShift, maxShift), a.uniform(-maxShift, maxShift)}
	bold := float64(a.uniform(-maxBold, maxBold) * g.half)
	edge := a.uniform(0.8, 1.6) // width in pixels over which ink fades out
	ink := a.uniform(190, 255)  // how bright the stroke is
	grain := a.uniform(0, 0.15) // how much of it noise may take away
	a.displace(a.uniform(0, maxElastic))

	// Rotation, then shear, then scale.
	xx, xy := cos, sin
	yx, yy := -sin, cos
	xx, xy = xx+float64(shear*yx), xy+float64(shear*yy)
	xx, xy, yx, yy = xx/sx, xy/sx, yx/sy, yy/sy

	const middle = float64(side-1) / 2
	// inked returns how deep the point x, y of the image, displaced by by, lies in the ink, as a part of the edge's width.
	inked := func(x, y float64, by point) float64 {
		x, y = x-middle-shift.x, y-middle-shift.y
		d := g.at(point{float64(xx*x) + float64(xy*y) + by.x, float64(yx*x) + float64(yy*y) + by.y})
		return float64((d + bold) / edge)
	}
	for i := range pix {
		x, y := float64(i%side), float64(i/side)
		covered := 0.0
		// A pixel's quarters are less than a pixel from its middle, so most pixels are settled there.
		switch d := inked(x, y, a.moved[i]); {
		case d < -0.5-1/edge:
			pix[i] = 0
			continue
		case d > 0.5+1/edge:
			covered = 1
		default:
			for q := range 4 { // the middles of the quarters
				x, y := x+quarter[q].x, y+quarter[q].y
				d := inked(x, y, a.displacement(x, y))
				covered += float64(min(max(0.5+d, 0), 1) / 4)
			}
		}
		v := float64(covered * ink * (1 - float64(grain*a.uniform(0, 1))))
		pix[i] = uint8(math.Floor(v + 0.5))
	}
}

// displace fills a.moved with uniform displacements, smoothed and multiplied by strength.
func (a *artist) displace(strength float64) {
	for i := range a.moved {
		a.moved[i] = point{a.uniform(-strength, strength), a.uniform(-strength, strength)}
	}
	// Smooth along rows and transpose, twice. What lies outside the image is zero.
	for _, pass := range [2]struct{ dst, src *[side * side]point }{{&a.scratch, &a.moved}, {&a.moved, &a.scratch}} {
		for r := range side {
			row := pass.src[r*side : (r+1)*side]
			for c := range side {
				lo, hi := max(0, c-smoothRadius), min(side, c+smoothRadius+1)
				weights := smooth[lo-c+smoothRadius:]
				var sum point
				for k, v := range row[lo:hi] {
					w := weights[k]
					sum.x += float64(v.x * w)
					sum.y += float64(v.y * w)
				}
				pass.dst[c*side+r] = sum
			}
		}
	}
}

// displacement interpolates a.moved.
func (a *artist) displacement(x, y float64) point {
	x, y = min(max(x, 0), side-1), min(max(y, 0), side-1)
	col, row := min(int(x), side-2), min(int(y), side-2)
	fx, fy := x-float64(col), y-float64(row)
	i := row*side + col
	return lerp(lerp(a.moved[i], a.moved[i+1], fx), lerp(a.moved[i+side], a.moved[i+side+1], fx), fy)
}

// sinCos returns sine and cosine of a small angle, |x| <= 0.5, to about 1e-12, with the same bits on every machine.
func sinCos(x float64) (sin, cos float64) {
	z := float64(x * x)
	poly := func(c ...float64) float64 {
		sum := 0.0
		for _, c := range c {
			sum = c + float64(z*sum)
		}
		return sum
	}
	return float64(x * poly(-1.0/39916800, 1.0/362880, -1.0/5040, 1.0/120, -1.0/6, 1)),
		poly(-1.0/3628800, 1.0/40320, -1.0/720, 1.0/24, -1.0/2, 1)
}

// mix scatters the bits of x (the finalizer of SplitMix64), so that neighbouring indices seed unrelated streams.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
