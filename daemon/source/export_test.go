package source

// Recognise returns the name of the format that the data is in, or "".
func Recognise(name string, data []byte) string {
	text, err := clean(&input{File: File{Path: name, Data: data}})
	if err != nil {
		return ""
	}
	if f := recognise(name, text); f != nil {
		return f.name
	}
	return ""
}
