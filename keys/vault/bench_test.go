package vault

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"waxseal/keys"
	"waxseal/test/vaulttest"
)

// BenchmarkTransit compares signatures by way of the store with what the same
// server gives a client that only posts, round by round in turn, because other
// work on the machine comes and goes. The ratio is what counts.
func BenchmarkTransit(b *testing.B) {
	server := transit(b, vaulttest.Options{})
	ca := newAuthority(b)
	for _, kind := range []string{"rsa-2048", "ecdsa-p256"} {
		name := kind + "@example.com"
		public := newKey(b, server, kind, kind)
		server.Put("waxseal/smime/"+name, map[string]string{"certificate": ca.mail(name, public, nil), "transit_key": kind})
		token := server.Token("1h", "waxseal")
		store, err := Open(Config{Address: server.Address, KV: "secret/waxseal", Token: token})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		k, err := keys.FindKey(b.Context(), store, keys.SMIME, name, "")
		if err != nil {
			b.Fatal(err)
		}
		digest := bytes.Repeat([]byte{7}, 32)
		body, err := json.Marshal(map[string]any{"input": base64.StdEncoding.EncodeToString(digest), "prehashed": true,
			"hash_algorithm": "sha2-256", "signature_algorithm": "pkcs1v15"})
		if err != nil {
			b.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		bare := func() error {
			req, err := http.NewRequest("POST", server.Address+"/v1/transit/sign/"+kind, bytes.NewReader(body))
			if err != nil {
				return err
			}
			req.Header.Set("X-Vault-Token", token)
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s, %w", resp.Status, err)
			}
			return nil
		}
		ours := func() error {
			_, err := k.Signer.Sign(nil, digest, crypto.SHA256)
			return err
		}
		for _, workers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", kind, workers), func(b *testing.B) {
				var took [2]time.Duration
				round := 0
				for b.Loop() {
					round++
					for n := range 2 {
						i := (n + round) % 2 // neither is always the first
						sign := []func() error{bare, ours}[i]
						begin := time.Now()
						var wg sync.WaitGroup
						for range workers {
							wg.Go(func() {
								for range 16 {
									if err := sign(); err != nil {
										b.Error(err)
										return
									}
								}
							})
						}
						wg.Wait()
						took[i] += time.Since(begin)
					}
				}
				per := float64(b.N * workers * 16)
				b.ReportMetric(per/took[0].Seconds(), "bare/s")
				b.ReportMetric(per/took[1].Seconds(), "ours/s")
				b.ReportMetric(100*took[0].Seconds()/took[1].Seconds(), "%")
			})
		}
	}
}
