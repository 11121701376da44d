package vault

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxResponse bounds what is read of one answer, in octets: the largest entry
// with every octet escaped in JSON.
const maxResponse = 8 << 20

// newClient makes a client without a token: every request brings its own.
func newClient(c *Config) (*api.Client, error) {
	conf := api.DefaultConfig()
	if conf.Error != nil {
		return nil, fmt.Errorf("read the VAULT_* environment: %w", conf.Error)
	}
	if c.Address != "" {
		conf.Address, conf.AgentAddress = c.Address, ""
	}
	conf.Timeout = c.Timeout
	// One more try is for a Vault that fails over. More would hide its state
	// for seconds, and so would obeying Retry-After.
	conf.MaxRetries, conf.MinRetryWait, conf.MaxRetryWait = 1, 50*time.Millisecond, 150*time.Millisecond
	conf.Backoff = func(least, most time.Duration, _ int, _ *http.Response) time.Duration {
		return least + rand.N(most-least)
	}
	err := conf.ConfigureTLS(&api.TLSConfig{
		CACert: c.CACert, CAPath: c.CAPath,
		ClientCert: c.ClientCert, ClientKey: c.ClientKey,
		TLSServerName: c.TLSServerName, Insecure: c.SkipVerify,
	})
	if err != nil {
		return nil, fmt.Errorf("set up TLS: %w", err)
	}
	if u, err := url.Parse(conf.Address); err != nil || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "unix") {
		return nil, errors.New("the address is no URL: use one like https://vault.example.com:8200")
	}
	if t, ok := conf.HttpClient.Transport.(*http.Transport); ok {
		tune(t, c)
	}
	client, err := api.NewClient(conf)
	if err != nil {
		return nil, err
	}
	closeIdle := func() {}
	if t, ok := conf.HttpClient.Transport.(*http.Transport); ok {
		closeIdle = t.CloseIdleConnections
	}
	conf.HttpClient.Transport = bounded{conf.HttpClient.Transport, closeIdle}
	client.ClearToken()
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return client, nil
}

// tune sets a transport up for many requests at once and for connections that
// have died without a word.
func tune(t *http.Transport, c *Config) {
	t.MaxIdleConnsPerHost = 64
	// Half of the time is left for another try on a new connection.
	t.ResponseHeaderTimeout = c.Timeout / 2
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: c.Timeout / 5, PingTimeout: c.Timeout / 5}
	if c.ClientCert != "" && t.TLSClientConfig != nil {
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
			if err != nil {
				return nil, fmt.Errorf("read the client certificate: %w", err)
			}
			return &pair, nil
		}
	}
}

// bounded is a transport whose responses end with an error at maxResponse, and
// which trusts no idle connection after one has failed.
type bounded struct {
	http.RoundTripper
	closeIdle func()
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		b.closeIdle()
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, maxResponse}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("answer is larger than %d octets", maxResponse)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// request sends one request, with one retry, and decodes the answer into out if
// that is not nil. Its error is a *refusal for an answer from Vault.
func request(ctx context.Context, client *api.Client, token, method, path string, body, out any) error {
	path, query, _ := strings.Cut(path, "?")
	r := client.NewRequest(method, "/v1/"+path)
	if query != "" {
		var err error
		if r.Params, err = url.ParseQuery(query); err != nil {
			return err
		}
	}
	if method == "LIST" { // which some proxies don't let through
		r.Method = http.MethodGet
		r.Params.Set("list", "true")
	}
	r.ClientToken = token
	if body != nil {
		if err := r.SetJSONBody(body); err != nil {
			return err
		}
	}
	resp, err := client.RawRequestWithContext(ctx, r)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return understand(ctx, err)
	}
	if out == nil {
		return nil
	}
	err = json.NewDecoder(resp.Body).Decode(out)
	// A connection whose answer was not read to its end can't be used again.
	io.CopyN(io.Discard, resp.Body, 4<<10)
	if err != nil {
		if ctx.Err() != nil {
			return understand(ctx, err)
		}
		return fmt.Errorf("the answer is not what Vault sends (is a proxy in between?): %w", err)
	}
	return nil
}

// refusal is an error that Vault answered with.
type refusal struct {
	status int
	words  string // on one line, bounded
	raw    bool   // not in Vault's format: a proxy's
}

func (r *refusal) Error() string {
	words := r.words
	if words == "" {
		words = http.StatusText(r.status)
	}
	switch {
	case r.status == http.StatusServiceUnavailable && strings.Contains(words, "sealed"):
		return "Vault is sealed: unseal it"
	case r.badToken():
		return fmt.Sprintf("Vault answered %d: %s: the token has expired, was revoked, or never existed", r.status, words)
	}
	return fmt.Sprintf("Vault answered %d: %s", r.status, words)
}

// badToken tells a token that Vault doesn't know from one that lacks a right;
// only newer versions of Vault say which.
func (r *refusal) badToken() bool {
	return r.status == http.StatusForbidden && (strings.Contains(r.words, "invalid token") || strings.Contains(r.words, "bad token"))
}

// understand turns an error of the client into one line without the URL, which
// the caller names.
func understand(ctx context.Context, err error) error {
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		words := strings.Join(strings.Fields(strings.Join(answer.Errors, "; ")), " ")
		if len(words) > 300 {
			words = words[:300]
		}
		return &refusal{answer.StatusCode, strings.ToValidUTF8(words, "?"), answer.RawError}
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("no answer from Vault in time: %w", cause)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if text := err.Error(); strings.Contains(text, "x509:") {
		return fmt.Errorf("%w: does VAULT_CACERT name the CA of Vault's certificate?", err)
	}
	return fmt.Errorf("Vault can't be reached: %w", err)
}
