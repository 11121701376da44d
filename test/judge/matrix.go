package judge

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Matrix compares what programs do with what is recorded of them: an algorithm a
// row, a program a column.
type Matrix struct {
	Title   string
	Columns []string
	// Reasons says in words why a program does not do something, by the letter
	// that stands for it in the rows.
	Reasons map[string]string

	rows [][]string // what is recorded, after the row's name
	seen [][]string // what was found
}

// What may stand in a cell besides the letter of a reason.
const (
	Yes    = "yes"
	Cannot = "-" // the program has no option for it
)

// Row tries an algorithm with each program. recorded has a word for each column:
// Yes, Cannot, or the letter of a reason. Any other outcome is an error of the
// test, better ones too.
func (m *Matrix) Row(t testing.TB, name, recorded string, try func(column int) error) {
	t.Helper()
	want := strings.Fields(recorded)
	if len(want) != len(m.Columns) {
		t.Fatalf("%s: %s: %q does not have %d cells", m.Title, name, recorded, len(m.Columns))
	}
	m.rows = append(m.rows, append([]string{name}, want...))
	seen := []string{name}
	for i, column := range m.Columns {
		err := try(i)
		got := "no"
		switch {
		case err == nil:
			got = Yes
		case errors.Is(err, ErrCannot):
			got = Cannot
		}
		seen = append(seen, got)
		if m.Reasons[want[i]] != "" {
			want[i] = "no"
		} else if want[i] != Yes && want[i] != Cannot {
			t.Errorf("%s: %s: %q has no reason", m.Title, name, want[i])
		}
		switch {
		case got != want[i]:
			t.Errorf("%s: %s: %s: %s; %s is recorded: %v", m.Title, name, column, got, want[i], err)
		case got == "no":
			t.Logf("%s: %s: %s: %.200v", m.Title, name, column, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	m.seen = append(m.seen, seen)
}

// Log prints what was found.
func (m *Matrix) Log(t testing.TB) {
	t.Helper()
	table := append([][]string{append([]string{m.Title}, m.Columns...)}, m.seen...)
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, row := range table {
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
		}
		b.WriteString("\n")
	}
	t.Logf("\n%s", b.String())
}

// markdown is what is recorded, as it stands in the documentation.
func (m *Matrix) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", m.Title)
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(append([]string{""}, m.Columns...))
	line(slices.Repeat([]string{"---"}, len(m.Columns)+1))
	used := map[string]bool{}
	for _, row := range m.rows {
		cells := slices.Clone(row)
		for i, c := range cells[1:] {
			switch {
			case c == Cannot:
				cells[i+1] = "–"
			case c != Yes:
				used[c] = true
				cells[i+1] = "no (" + c + ")"
			}
		}
		line(cells)
	}
	b.WriteString("\n")
	letters := make([]string, 0, len(used))
	for letter := range used {
		letters = append(letters, letter)
	}
	slices.Sort(letters)
	for _, letter := range letters {
		fmt.Fprintf(&b, "- (%s) %s\n", letter, m.Reasons[letter])
	}
	if len(letters) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// Document compares matrices with the part of a page between the comments "begin
// NAME" and "end NAME", or writes it anew.
func Document(t testing.TB, page, name string, update bool, matrices ...*Matrix) {
	t.Helper()
	text := read(t, page)
	begin, end := []byte("<!-- begin "+name+" -->\n"), []byte("<!-- end "+name+" -->")
	from, to := bytes.Index(text, begin), bytes.Index(text, end)
	if from < 0 || to < from {
		t.Fatalf("%s has no %q and %q", page, begin, end)
	}
	var b bytes.Buffer
	b.Write(text[:from])
	b.Write(begin)
	b.WriteString("\n")
	for _, m := range matrices {
		b.WriteString(m.markdown())
	}
	b.Write(text[to:])
	if bytes.Equal(b.Bytes(), text) {
		return
	}
	if !update {
		t.Errorf("%s does not show what the test records; write it anew: go test -run %s -update", page, t.Name())
		return
	}
	if err := os.WriteFile(page, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
