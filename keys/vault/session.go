package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// Vault's 403 may mean a bad token or a missing right. If it doesn't say which,
// a login is tried when the last one is older than tryAgain; if it does, when
// that is older than tryBad. Each login costs Vault a lease.
const (
	tryAgain = time.Minute
	tryBad   = time.Second
)

// A login that Vault has refused is tried again after a second, and after twice
// as long each time up to maxPause.
const maxPause = 30 * time.Second

// session has the token that requests are made with.
type session struct {
	conf   *Config
	client *api.Client

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	done sync.WaitGroup // the goroutine that renews

	gate chan struct{} // held by the one who logs in

	// What the holder of the gate knows: how the last login was refused, and
	// the secret ID that was in a wrapping token.
	refused   error
	pause     time.Duration
	notBefore time.Time
	wrapping  string
	secretID  string

	mu       sync.Mutex
	token    string
	since    time.Time
	stopKeep context.CancelFunc // ends the goroutine that renews token
}

func newSession(conf *Config, client *api.Client) *session {
	s := &session{conf: conf, client: client, gate: make(chan struct{}, 1), stopKeep: func() {}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

func (s *session) close() {
	s.mu.Lock()
	s.stop() // under the lock, so that no goroutine starts after it
	s.mu.Unlock()
	s.done.Wait()
}

// do sends a request with a token. If Vault refuses the token, it does so a
// second time with another one, where there is one to be had.
func (s *session) do(ctx context.Context, method, path string, body, out any) error {
	token, err := s.get(ctx, "", nil)
	if err != nil {
		return err
	}
	err = request(ctx, s.client, token, method, path, body, out)
	var r *refusal
	if !errors.As(err, &r) || r.status != http.StatusForbidden {
		return err
	}
	other, loginErr := s.get(ctx, token, r)
	if loginErr != nil {
		return fmt.Errorf("%w; then: %w", err, loginErr)
	}
	if other == token {
		return err
	}
	return request(ctx, s.client, other, method, path, body, out)
}

// get returns a token, if possible another one than refused, which Vault
// answered with why.
func (s *session) get(ctx context.Context, refused string, why *refusal) (string, error) {
	if s.conf.TokenFile != "" {
		token, err := readSecret(s.conf.TokenFile)
		if err != nil {
			return "", fmt.Errorf("read token file: %w", err)
		}
		return token, nil
	}
	if token, _ := s.current(); token != "" && token != refused {
		return token, nil
	}
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the login to Vault: %w", ctx.Err())
	}
	token, since := s.current()
	if token != "" && token != refused {
		return token, nil
	}
	if refused != "" {
		wait := tryAgain
		if why.badToken() {
			wait = tryBad
		}
		left := wait - s.conf.Now().Sub(since)
		if !s.conf.logsIn() || left > 0 && !why.badToken() {
			return refused, nil
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return refused, nil
		}
	}
	if s.refused != nil && s.conf.Now().Before(s.notBefore) {
		return "", fmt.Errorf("%w (tried a moment ago)", s.refused)
	}
	return s.login(ctx)
}

func (s *session) current() (string, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.since
}

// use makes token the one to use. One that ends, after ttl, is kept alive.
func (s *session) use(token string, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopKeep()
	s.token, s.since = token, s.conf.Now()
	if ttl <= 0 || s.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.stopKeep = stop
	s.done.Go(func() {
		defer stop()
		s.keep(ctx, token, ttl)
	})
}

// keep renews token after two thirds of each lifetime. One that can't be
// renewed, or not for as long, is replaced by a new login where that is
// possible; else it ends when it must.
func (s *session) keep(ctx context.Context, token string, full time.Duration) {
	end := time.Now().Add(full)
	longest := max(min(full/6, time.Minute), time.Second)
	pause := min(time.Second, longest)
	for wait := full * 2 / 3; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		ttl, err := s.renew(ctx, token)
		switch {
		case err == nil:
			end = time.Now().Add(ttl)
			if ttl > full/2 {
				wait, pause = ttl*2/3, min(time.Second, longest)
				continue
			}
		case time.Now().After(end) && !s.conf.logsIn():
			return
		}
		if s.conf.logsIn() && s.relogin(ctx) {
			return // the new token has a goroutine of its own
		}
		// Not all replicas at once.
		wait = pause/2 + rand.N(pause)
		pause = min(2*pause, longest)
	}
}

// relogin replaces the token while the old one is still good.
func (s *session) relogin(ctx context.Context) bool {
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return true
	}
	if ctx.Err() != nil { // a request has logged in meanwhile
		return true
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.conf.Timeout) // login ends ctx itself
	defer cancel()
	_, err := s.login(ctx)
	return err == nil
}

// renew returns the new lifetime of token.
func (s *session) renew(ctx context.Context, token string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	var answer struct{ Auth *api.SecretAuth }
	if err := request(ctx, s.client, token, "POST", "auth/token/renew-self", map[string]string{}, &answer); err != nil {
		return 0, err
	}
	if answer.Auth == nil {
		return 0, errors.New("renew token: the answer has no token")
	}
	return time.Duration(answer.Auth.LeaseDuration) * time.Second, nil
}

// lifetime returns how long a token has left, or 0 if it has no end, can't be
// renewed, or may not look at itself. Whether it is good at all shows when it is
// used.
func (s *session) lifetime(ctx context.Context, token string) (time.Duration, error) {
	var answer struct {
		Data struct {
			TTL       int64
			Renewable bool
		}
	}
	err := request(ctx, s.client, token, "GET", "auth/token/lookup-self", nil, &answer)
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusForbidden || err == nil && !answer.Data.Renewable {
		return 0, nil
	}
	return time.Duration(answer.Data.TTL) * time.Second, err
}

// readSecret reads a file with one short word.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 16 << 10
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	word := strings.TrimSpace(string(text))
	if len(text) > most || word == "" || !plainToken(word) {
		return "", fmt.Errorf("%s does not hold just one word", path)
	}
	return word, nil
}
