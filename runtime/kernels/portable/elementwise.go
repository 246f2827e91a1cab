package portable

// is32 reports whether T is a 32-bit float.
func is32[T Float]() bool {
	one := T(1)
	return one+0x1p-30 == one
}
