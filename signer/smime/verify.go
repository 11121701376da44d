package smime

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"waxseal/signer"
	"waxseal/signer/smime/cms"
	"waxseal/signer/smime/trust"
)

// VerifyOptions say how signatures are judged.
type VerifyOptions struct {
	// At is when the message was received; zero means now. Certificates are
	// judged as of that time, never as of the time that the signer claims.
	At time.Time
	// Address is the one that the signer has to own, an addr-spec: that of the
	// visible From. If it is empty, the addresses are not judged.
	Address string
	// Trust judges certificates; nil means that only integrity is.
	Trust *trust.Validator
	// Certificates returns some that are looked through for signers whose own is
	// not in the message; nil for none. It is called once, and only for such a
	// signer. They are not trusted by being here. Verify returns its error.
	Certificates func(context.Context) ([]*x509.Certificate, error)
	// MinRSABits is the shortest RSA key whose signature counts; 0 means 2048
	// (RFC 8551, Section 4.2).
	MinRSABits int
	// Limits bound what stands beside the content; the zero value suits mail.
	Limits cms.Limits
}

// Verify checks a detached signature (RFC 8551, Section 3.5.3) over content,
// which are the bytes of the signed part just as they stand between its
// boundaries, with CRLF; they are never changed to make a signature fit. data is
// the SignedData, its transfer encoding undone.
//
// There is one Verification for each signer, and never none: what is wrong with
// a signature, a malformed one included, is a value. An error is one of reading
// content or data, of looking for certificates, or the context's. content is written once, and only if there
// is a signature to compare it with.
//
// Verify is safe for concurrent use.
func Verify(ctx context.Context, content io.WriterTo, data io.Reader, o VerifyOptions) ([]signer.Verification, error) {
	found, err := verifyDetached(ctx, content, data, o)
	if err != nil {
		return nil, fmt.Errorf("verify an S/MIME signature: %w", err)
	}
	return found, nil
}

func verifyDetached(ctx context.Context, content io.WriterTo, data io.Reader, o VerifyOptions) ([]signer.Verification, error) {
	attached := false
	s, err := cms.ReadSignedData(data, o.Limits, func(_ *cms.SignedData, r io.Reader) error {
		attached = true
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if found, err := malformed(err); found != nil || err != nil {
		return found, err
	}
	d := newDigests(s)
	switch {
	case attached:
		// Programs disagree which of the two contents the signature is about.
		return one(signer.PermError, "the detached signature has a content of its own"), nil
	case len(s.Signers) > 0:
		if _, err := content.WriteTo(d); err != nil {
			return nil, fmt.Errorf("read the signed part: %w", err)
		}
	}
	return judge(ctx, s, d, o)
}

// VerifyOpaque checks a signature whose content is in the SignedData (RFC 8551,
// Section 3.5.2), in the way of Verify, and writes the content to w as it comes.
// What has been written is worth no more than the verdict that follows. An error
// of w is returned too.
func VerifyOpaque(ctx context.Context, w io.Writer, data io.Reader, o VerifyOptions) ([]signer.Verification, error) {
	found, err := verifyOpaque(ctx, w, data, o)
	if err != nil {
		return nil, fmt.Errorf("verify an S/MIME signature: %w", err)
	}
	return found, nil
}

func verifyOpaque(ctx context.Context, w io.Writer, data io.Reader, o VerifyOptions) ([]signer.Verification, error) {
	var d *digests
	s, err := cms.ReadSignedData(data, o.Limits, func(before *cms.SignedData, r io.Reader) error {
		d = newDigests(before)
		_, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, d)}, r, make([]byte, 32<<10))
		return err
	})
	if found, err := malformed(err); found != nil || err != nil {
		return found, err
	}
	if s.Detached && len(s.Signers) > 0 {
		return one(signer.PermError, "the signature has no content"), nil
	}
	return judge(ctx, s, d, o)
}

// malformed turns an error of the data's form into a value.
func malformed(err error) ([]signer.Verification, error) {
	var syntax *cms.SyntaxError
	if errors.As(err, &syntax) {
		return one(signer.PermError, syntax.Error()), nil
	}
	return nil, err
}

// one is the outcome where there is no signer to speak of.
func one(verdict signer.Verdict, reason string) []signer.Verification {
	return []signer.Verification{{Scheme: "smime", Integrity: signer.Finding{Verdict: verdict, Reason: reason}}}
}

// judge looks at every signer.
func judge(ctx context.Context, s *cms.SignedData, d *digests, o VerifyOptions) ([]signer.Verification, error) {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if o.MinRSABits == 0 {
		o.MinRSABits = minRSA
	}
	if len(s.Signers) == 0 {
		return one(signer.None, "nobody has signed: the message only carries certificates"), nil
	}
	v := &verifier{ctx: ctx, data: s, digests: d, o: o, results: map[string]trust.Result{}}
	v.readCertificates()
	var found []signer.Verification
	for i := range s.Signers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found = append(found, v.signer(&s.Signers[i]))
		if v.err != nil {
			return nil, fmt.Errorf("look for the signer's certificate: %w", v.err)
		}
	}
	if s.MoreSigners > 0 {
		found = append(found, one(signer.PermError,
			fmt.Sprintf("%d more signers were not looked at; at most %d are", s.MoreSigners, cms.MaxSigners))...)
	}
	return found, nil
}

// The rules for messages with several signers, for Decisive.
const (
	// AnySigner is content with one good signature, whatever others there are:
	// a mailing list or an archive may have added its own.
	AnySigner = "any"
	// AllSigners wants all of them to be good.
	AllSigners = "all"
)

// Decisive returns the verification that speaks for the message. With AnySigner,
// which the empty rule stands for too, it is the first one that passes as a
// whole, else the one that comes closest: with integrity above all, then for the
// address, then of a known authority. With AllSigners it is the first one that does not pass, else
// the first. found is what Verify returns.
func Decisive(found []signer.Verification, rule string) *signer.Verification {
	best := &found[0]
	for i := range found {
		v := &found[i]
		switch passes := v.Result().Verdict == signer.Pass; {
		case passes != (rule == AllSigners):
			return v
		case rule != AllSigners && closeness(v) > closeness(best):
			best = v
		}
	}
	return best
}

// closeness says how near a verification is to a pass.
func closeness(v *signer.Verification) int {
	n := 0
	if v.Revocation.Verdict != signer.Fail {
		n = 1
	}
	for i, f := range []signer.Finding{v.Certificate, v.Chain, v.Address, v.Integrity} {
		if f.Verdict == signer.Pass {
			n += 2 << i
		}
	}
	return n
}
