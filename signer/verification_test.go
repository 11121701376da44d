package signer

import "testing"

func TestVerificationResult(t *testing.T) {
	pass := Finding{Verdict: Pass}
	good := Verification{Integrity: pass, Certificate: pass, Chain: pass, Address: pass}
	cases := []struct {
		name   string
		change func(*Verification)
		want   Verdict
	}{
		{"all good", func(*Verification) {}, Pass},
		{"revocation checked", func(v *Verification) { v.Revocation = pass }, Pass},
		{"altered", func(v *Verification) { v.Integrity.Verdict = Fail }, Fail},
		{"weak", func(v *Verification) { v.Integrity.Verdict = Policy }, Policy},
		{"altered and not trusted", func(v *Verification) { v.Integrity.Verdict, v.Chain.Verdict = Fail, Policy }, Fail},
		{"revoked", func(v *Verification) { v.Revocation.Verdict = Fail }, Fail},
		{"revocation not known", func(v *Verification) { v.Revocation.Verdict = TempError }, TempError},
		{"somebody else's", func(v *Verification) { v.Address.Verdict = Fail }, Fail},
		{"address not looked at", func(v *Verification) { v.Address = Finding{} }, Neutral},
		{"nothing looked at", func(v *Verification) { *v = Verification{} }, Neutral},
		{"no chain", func(v *Verification) { v.Chain.Verdict = None }, Neutral},
	}
	for _, c := range cases {
		v := good
		c.change(&v)
		if got := v.Result().Verdict; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
