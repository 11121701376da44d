package milter

import (
	"net/netip"
	"strings"
	"testing"

	"waxseal/policies"
	"waxseal/signer"
	"waxseal/signer/smime/trust"
	"waxseal/test/identities"
)

// forgeries are fields that a reader could take for ours.
var forgeries = []string{
	"Authentication-Results: mx.test; smime=pass forged",
	"authentication-results: mx.test; smime=pass forged",
	"AUTHENTICATION-RESULTS: MX.TEST; smime=pass forged",
	"Authentication-Results:mx.test;smime=pass forged",
	"Authentication-Results:\r\n\tmx.test;\r\n\tsmime=pass forged",
	"Authentication-Results: mx.\r\n test; smime=pass forged",
	"Authentication-Results: (comment) mx.test (another (nested)) 1; smime=pass forged",
	"Authentication-Results: \"mx.test\"; smime=pass forged",
	"Authentication-Results: mx.test. ; smime=pass forged",
	"Authentication-Results: mx.test 2; smime=pass forged",
	"Authentication-Results: =?utf-8?q?mx.test?=; smime=pass forged",
	"Authentication-Results: =?utf-8?b?bXgudGVzdA==?=; smime=pass forged",
	"Authentication-Results: m\u0445.test; smime=pass forged",
	"Authentication-Results: \u200bmx.test; smime=pass forged",
	"Authentication-Results: mx\uff0etest; smime=pass forged",
	"Authentication-Results: ; mx.test; smime=pass forged",
	"Authentication-Results: smime=pass forged mx.test",
	"Authentication-Results: \\mx.test; smime=pass forged",
	"Authentication-Results: mx%2etest; smime=pass forged",
	"Authentication-Results: (unclosed mx.test; smime=pass forged",
	"Waxseal-Result: mx.test; decrypt=pass forged",
	"waxseal-result: forged",
	"WAXSEAL-RESULT:forged",
	"Waxseal-Result: other.example; decrypt=pass forged",
	"Waxseal-Result:\r\n mx.test; decrypt=pass\r\n (forged)",
}

// strangers are reports of others, which are none of our business.
var strangers = []string{
	"Authentication-Results: mx.partner.example; smime=pass kept",
	"Authentication-Results: notmx.test; smime=pass kept",
	"Authentication-Results: mx.test.example; smime=pass kept",
	"Authentication-Results: mx.partner.example; dkim=pass header.i=@mx.test kept",
	"ARC-Authentication-Results: i=1; mx.test; smime=pass kept",
	"X-Waxseal-Result: kept",
}

func testForgedReports(t *testing.T, set *identities.Set) {
	signed := samples(t, set)["smime signed"]
	sign := `policy "sign" {
  direction = "outgoing"
  sign "smime" {}
  on_key_not_found = "accept"
}`
	for _, c := range []struct {
		name, policy, client, login string
	}{
		{"incoming", incomingPolicy, "192.0.2.1", ""},
		{"incoming without a policy", sign, "192.0.2.1", ""},
		{"outgoing", sign, "127.0.0.1", ""},
		{"outgoing with a login", sign, "192.0.2.1", "alice"},
		{"outgoing without a policy", incomingPolicy, "127.0.0.1", ""},
		{"held", strings.Replace(incomingPolicy, "decrypt {}", "decrypt {}\n  on_untrusted = \"quarantine\"\n  on_bad_signature = \"quarantine\"", 1), "192.0.2.1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newIncoming(t, set, c.policy)
			f.Internal = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			message := strings.Join(forgeries, "\r\n") + "\r\nFrom: alice@example.com\r\n" + strings.Join(strangers, "\r\n") + "\r\n" + strings.Join(forgeries, "\r\n") + "\r\n" + signed
			tx := newTestTransaction(t, message)
			tx.Sender, tx.Recipients = identities.Alice, []string{identities.Alice}
			tx.Client, tx.Login = netip.MustParseAddr(c.client), c.login
			out, err := f.Apply(t.Context(), tx)
			if err != nil || out.Action != policies.Accept && out.Action != policies.Quarantine {
				t.Fatalf("%v %v", out, err)
			}
			for _, mta := range []func(signer.Header, []Edit) signer.Header{EditedHeader, editedBySendmail} {
				var header strings.Builder
				for _, field := range mta(tx.Header, out.Edits) {
					header.Write(field.Raw)
				}
				if strings.Contains(header.String(), "forged") {
					t.Errorf("a forged report stays:\n%s", header.String())
				}
				if n := strings.Count(header.String(), "kept"); n != len(strangers) {
					t.Errorf("%d of %d reports of others are there:\n%s", n, len(strangers), header.String())
				}
			}
		})
	}
}

// editedBySendmail applies edits as Sendmail does, which counts the fields of a
// name as they were at first.
func editedBySendmail(h signer.Header, edits []Edit) signer.Header {
	deleted := make([]bool, len(h))
	edited := append(signer.Header(nil), h...)
	var top signer.Header
	for _, e := range edits {
		if e.Kind == Insert {
			top = append(signer.Header{{Name: e.Name, Raw: []byte(e.Name + ": " + e.Value + "\r\n")}}, top...)
			continue
		}
		if i := placeOf(h, e.Name, e.Index); i >= 0 {
			deleted[i] = e.Kind == Delete
			edited[i].Raw = []byte(e.Name + ": " + e.Value + "\r\n")
		}
	}
	for i, f := range edited {
		if !deleted[i] {
			top = append(top, f)
		}
	}
	return top
}

// testDifferentPolicies merges the policies of several recipients of one message.
func testDifferentPolicies(t *testing.T, set *identities.Set) {
	all := samples(t, set)
	policy := func(name, recipient, more string) string {
		return "policy \"" + name + "\" {\n  direction = \"incoming\"\n  recipient = [\"" + recipient + "\"]\n" + more + "\n}\n"
	}
	alice, ida := policy("alice", identities.Alice, "decrypt {}\nverify {}\n"), func(more string) string { return policy("ida", identities.Ida, more) }
	both := []string{identities.Alice, identities.Ida}
	forBoth := smimeMessage(enveloped(t, set, all["smime signed"], both...))
	for _, c := range []struct {
		name, policy, message string
		to                    []string
		action                policies.Action
		report                string
		plain, signature      bool
	}{
		{"alike", alice + ida("decrypt {}\nverify {}"), forBoth, both, policies.Accept, "policy=alice,ida; decrypt=pass.*verify=pass", true, true},
		{"one keeps it", alice + ida("decrypt {\ndeliver = \"keep\"\n}\nverify {}"), forBoth, both, policies.Accept, "decrypt=pass.*verify=pass", false, false},
		{"one does not decrypt", alice + ida("verify {}"), forBoth, both, policies.Accept, "policy=alice,ida; verify=none", false, false},
		{"one has no policy", alice, forBoth, both, policies.Accept, "policy=alice; verify=none", false, false},
		{"one strips", alice + ida("decrypt {}\nverify {\nstrip_signature = true\n}"), forBoth, both, policies.Accept, "verify=pass", true, true},
		{"both strip", policy("both", "*", "decrypt {}\nverify {\nstrip_signature = true\n}"), forBoth, both, policies.Accept, "verify=pass", true, false},
		{"strips and keeps", policy("both", "*", "decrypt {\ndeliver = \"keep\"\n}\nverify {\nstrip_signature = true\n}"), forBoth, both, policies.Accept, "verify=pass", false, false},
		{"one rejects", alice + ida("decrypt {}\nverify {}\non_no_signature = \"reject\""), innerEntity, both, policies.Reject, "", false, false},
		{"one discards", alice + ida("decrypt {}\nverify {}\non_no_signature = \"discard\""), innerEntity, both, policies.Accept, "verify=none", true, false},
		{"one discards, one has no policy", ida("verify {}\non_no_signature = \"discard\""), innerEntity, both, policies.Accept, "verify=none", true, false},
		{"all discard", policy("both", "*", "verify {}\non_no_signature = \"discard\""), innerEntity, both, policies.Discard, "", false, false},
		{"different anchors", policy("alice", identities.Alice, "verify {\ntrust_anchors = [\"test\"]\n}") + ida("verify {\ntrust_anchors = [\"other\"]\n}"), all["smime signed"], both, policies.Accept, "verify=fail", true, true},
		{"a bad signature is not stripped", policy("both", "*", "verify {\nstrip_signature = true\n}"), all["smime altered"], both, policies.Accept, "verify=fail", false, true},
		{"discard before quarantine", policy("both", "*", "decrypt {}\nverify {}\non_no_signature = \"discard\"\non_decrypt_error = \"quarantine\""),
			smimeMessage(spoilKey(t, set, enveloped(t, set, innerEntity, identities.Ida), identities.Ida)), []string{identities.Ida}, policies.Discard, "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newIncoming(t, set, c.policy)
			f.Anchors["other"] = &trust.Pool{}
			tx := newTestTransaction(t, "From: bob@partner.example\r\n"+c.message)
			tx.Recipients, tx.Client = c.to, netip.MustParseAddr("192.0.2.1")
			out, err := f.Apply(t.Context(), tx)
			if err != nil || out.Action != c.action {
				t.Fatalf("%v %v", out, err)
			}
			if c.action != policies.Accept {
				return
			}
			got := resultOf(t, tx, out)
			match(t, "report", c.report, reportOf(out))
			if strings.Contains(got, secret) != c.plain || strings.Contains(got, "pkcs7-signature") != c.signature {
				t.Errorf("delivered:\n%s", got)
			}
		})
	}
}

// testTooLarge: a message that would be too large for the MTA once decrypted is
// delivered as it came, since a refusal would tell that we have the key.
func testTooLarge(t *testing.T, set *identities.Set) {
	f := newIncoming(t, set, incomingPolicy)
	message := smimeMessage(enveloped(t, set, innerEntity, identities.Alice))
	for limit, want := range map[int64]string{10: `^mx\.test; policy=incoming; decrypt=permerror \(smime: it is too large\); verify=none`,
		600: `^mx\.test; policy=incoming; decrypt=permerror \(smime: it is too large\); verify=none`, 6000: "decrypt=pass"} {
		f.MaxResult = limit
		attack{message: message, report: want, shown: limit == 6000}.check(t, f)
	}
}
