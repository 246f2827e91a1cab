//go:build race

package level

const raceEnabled = true
