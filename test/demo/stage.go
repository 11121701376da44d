package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// stage stands in for a test, because what starts servers and makes keys is
// written for tests. It has what these use of testing.TB.
type stage struct {
	testing.TB
	cleanups []func()
	failed   bool
}

// stop ends a run; Fatal panics with it.
type stop struct{}

// run calls f and then what f has left to clean up.
func (s *stage) run(f func(*stage)) {
	defer func() {
		for i := len(s.cleanups) - 1; i >= 0; i-- {
			s.cleanups[i]()
		}
	}()
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(stop); !ok {
				panic(v)
			}
		}
	}()
	f(s)
}

func (s *stage) Helper()          {}
func (s *stage) Name() string     { return "demo" }
func (s *stage) Failed() bool     { return s.failed }
func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *stage) Log(args ...any)                 { fmt.Println(args...) }
func (s *stage) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (s *stage) Error(args ...any) {
	s.failed = true
	s.Log(args...)
}

func (s *stage) Errorf(format string, args ...any) {
	s.failed = true
	s.Logf(format, args...)
}

func (s *stage) Fatal(args ...any) {
	s.Error(args...)
	panic(stop{})
}

func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(stop{})
}

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "waxseal-demo")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *stage) say(text string) { fmt.Println("* " + text) }

// block shows a text, at most so many lines of it.
func (s *stage) block(title string, text []byte, most int) {
	lines := bytes.Split(bytes.TrimRight(text, "\r\n"), []byte("\n"))
	fmt.Printf("--- %s\n", title)
	for i, line := range lines {
		if i == most {
			fmt.Printf("    ... %d more lines\n", len(lines)-most)
			break
		}
		fmt.Printf("    %s\n", bytes.TrimRight(line, "\r"))
	}
}
