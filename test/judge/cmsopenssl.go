package judge

import "testing"

// OpenSSL is `openssl cms`.
type OpenSSL struct{ people *People }

// NewOpenSSL returns an openssl that trusts the people's root.
func NewOpenSSL(t testing.TB, p *People) *OpenSSL {
	t.Helper()
	require(t, "openssl", "openssl")
	return &OpenSSL{p}
}

// Name implements CMS.
func (o *OpenSSL) Name() string { return "openssl" }

// Verify implements CMS.
func (o *OpenSSL) Verify(t testing.TB, data, content []byte) ([]byte, error) {
	f := newFolder(t)
	args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", f.write("in", data),
		"-CAfile", o.people.RootFile, "-purpose", "smimesign", "-out", f.path("out")}
	if content != nil {
		args = append(args, "-content", f.write("content", content))
	}
	return f.result("out", openssl(args...))
}

// Sign implements CMS.
func (o *OpenSSL) Sign(t testing.TB, as *Person, content []byte, s SignAs) ([]byte, error) {
	f := newFolder(t)
	args := []string{"cms", "-sign", "-binary", "-in", f.write("in", content), "-outform", "DER", "-out", f.path("out"),
		"-signer", as.CertFile, "-inkey", as.KeyFile, "-certfile", as.ChainFile, "-md", s.Digest}
	if !s.Detached {
		args = append(args, "-nodetach")
	}
	if s.SubjectKeyID {
		args = append(args, "-keyid")
	}
	if s.PSS {
		args = append(args, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
	}
	return f.result("out", openssl(args...))
}

// Decrypt implements CMS.
func (o *OpenSSL) Decrypt(t testing.TB, as *Person, data []byte) ([]byte, error) {
	f := newFolder(t)
	return f.result("out", openssl("cms", "-decrypt", "-binary", "-inform", "DER", "-in", f.write("in", data),
		"-recip", as.CertFile, "-inkey", as.KeyFile, "-out", f.path("out")))
}

// Encrypt implements CMS.
func (o *OpenSSL) Encrypt(t testing.TB, to []*Person, content []byte, e EncryptAs) ([]byte, error) {
	f := newFolder(t)
	args := []string{"cms", "-encrypt", "-binary", "-" + e.Cipher, "-in", f.write("in", content), "-outform", "DER", "-out", f.path("out")}
	if e.SubjectKeyID {
		args = append(args, "-keyid")
	}
	for _, p := range to {
		args = append(args, "-recip", p.CertFile)
		if e.OAEP != "" {
			args = append(args, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+e.OAEP)
		}
	}
	return f.result("out", openssl(args...))
}
