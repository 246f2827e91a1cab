package artifact

// SetMaxGraphFile lowers the bound on the text and returns what restores it.
func SetMaxGraphFile(n int) (restore func()) {
	old := maxGraphFile
	maxGraphFile = n
	return func() { maxGraphFile = old }
}
