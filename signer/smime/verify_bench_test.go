package smime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"testing"

	"waxseal/signer"
	"waxseal/signer/smime/trust"
)

// BenchmarkVerify verifies both modes. x-bare is how much longer that takes than
// the two bare operations, SHA-256 over the content and the signature's check.
// The certificates are judged too, which is most of what small messages cost.
func BenchmarkVerify(b *testing.B) {
	for _, kind := range []string{"rsa2048", "p256"} {
		for _, mode := range []string{Detached, Opaque} {
			for _, s := range benchSizes {
				b.Run(kind+"/"+mode+"/"+s.name, func(b *testing.B) { benchVerify(b, kind, mode, s.size, trusting(kind+"@example.com").Trust) })
			}
		}
	}
}

// BenchmarkVerifyIntegrity leaves the certificates alone.
func BenchmarkVerifyIntegrity(b *testing.B) {
	for _, s := range benchSizes {
		b.Run("rsa2048/"+s.name, func(b *testing.B) { benchVerify(b, "rsa2048", Detached, s.size, nil) })
	}
}

func benchVerify(b *testing.B, kind, mode string, size int64, v *trust.Validator) {
	id, e := as(kind), memory(b, size)
	text := written(b, e)
	signed, err := Sign(e, id.chain, id.key, SignOptions{Mode: mode})
	if err != nil {
		b.Fatal(err)
	}
	data := signedDataOf(b, signed)
	a, err := algorithmFor(id.cert(), 0, false)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256(text)
	signature, err := a.sign(digest[:], id.key)
	if err != nil {
		b.Fatal(err)
	}
	again := sha256.Sum256(digest[:])
	b.ReportAllocs()
	b.SetBytes(size)
	compare(b, func() error {
		var found []signer.Verification
		var err error
		if mode == Detached {
			found, err = Verify(context.Background(), bytes.NewReader(text), bytes.NewReader(data), VerifyOptions{Trust: v})
		} else {
			found, err = VerifyOpaque(context.Background(), io.Discard, bytes.NewReader(data), VerifyOptions{Trust: v})
		}
		if err == nil && found[0].Integrity.Verdict != signer.Pass {
			b.Fatal(found[0].Integrity)
		}
		return err
	}, func() error {
		sha256.Sum256(text)
		if !a.verify(again[:], signature) {
			b.Fatal("the bare signature is wrong")
		}
		return nil
	})
}
