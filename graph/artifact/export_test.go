package artifact

// SetMaxGraphFile lowers the bound on the text and returns what restores it.
func SetMaxGraphFile(n int) (restore func()) {
	old := maxGraphFile
	maxGraphFile = n
	return func() { maxGraphFile = old }
}

// SetFileChanged lets Save call f after every operation on a file, and returns what ends that.
func SetFileChanged(f func()) (restore func()) {
	old := fileChanged
	fileChanged = f
	return func() { fileChanged = old }
}
