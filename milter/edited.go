package milter

import (
	"strings"

	"waxseal/signer"
)

// EditedHeader applies edits to a header as an MTA does, in their order. It is
// for those who have no MTA: the offline command and tests.
func EditedHeader(h signer.Header, edits []Edit) signer.Header {
	edited := append(signer.Header(nil), h...)
	for _, e := range edits {
		field := signer.Field{Name: e.Name, Raw: []byte(e.Name + ": " + e.Value + "\r\n")}
		if e.Kind == Insert {
			edited = append(signer.Header{field}, edited...)
			continue
		}
		place := placeOf(edited, e.Name, e.Index)
		switch {
		case place < 0:
		case e.Kind == Delete:
			edited = append(edited[:place], edited[place+1:]...)
		default:
			edited[place] = field
		}
	}
	return edited
}

// placeOf finds the index-th field of that name, counted from 1, or -1.
func placeOf(h signer.Header, name string, index int) int {
	for i, f := range h {
		if strings.EqualFold(f.Name, name) {
			if index--; index == 0 {
				return i
			}
		}
	}
	return -1
}
