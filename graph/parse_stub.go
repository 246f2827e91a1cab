package graph
func ParseType(s string) (Type, error) { return nil, nil }
