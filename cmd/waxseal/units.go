package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseSize reads a size in bytes: a number with an optional unit, "50MiB",
// "10MB", "1k" or "10240000".
func parseSize(text string) (int64, error) {
	units := []struct {
		suffix string
		factor int64
	}{
		{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
		{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9},
		{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"b", 1},
	}
	number := strings.ToLower(strings.TrimSpace(text))
	factor := int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is not a size; write it as \"50MiB\" or as a number of bytes", text)
	}
	return n * factor, nil
}
