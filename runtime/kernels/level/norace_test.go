//go:build !race

package level

const raceEnabled = false
