package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"waxseal/keys"
	"waxseal/keys/cache"
	"waxseal/keys/directory"
	"waxseal/keys/vault"
	"waxseal/milter"
	"waxseal/policies"
)

// openStore opens the key store of the configuration, without a cache in front
// of it. The closer ends what runs for it in the background.
func openStore(s *settings) (keys.Store, io.Closer, error) {
	k := s.Keys
	if k.Store == "directory" {
		info, err := os.Stat(k.Path)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory", k.Path)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("open the key directory: %w", err)
		}
		return &directory.Store{Path: k.Path}, io.NopCloser(nil), nil
	}
	conf := vault.Config{
		Address:       k.Address,
		Namespace:     k.Namespace,
		KV:            k.KV,
		KVMount:       k.KVMount,
		Transit:       k.Transit,
		CACert:        k.CACert,
		CAPath:        k.CAPath,
		ClientCert:    k.ClientCert,
		ClientKey:     k.ClientKey,
		TLSServerName: k.TLSServerName,
		Timeout:       s.keysTimeout,
	}
	if a := k.Auth; a != nil {
		switch a.Method {
		case "approle":
			conf.AppRole = &vault.AppRole{Mount: a.Mount, RoleID: a.RoleID, SecretID: a.SecretID, SecretIDFile: a.SecretIDFile, Wrapped: a.SecretIDWrapped}
		case "cert":
			conf.Cert = &vault.Cert{Mount: a.Mount, Role: a.Role}
		case "kubernetes":
			conf.Kubernetes = &vault.JWT{Mount: a.Mount, Role: a.Role, File: a.JWTFile}
		case "jwt":
			conf.JWT = &vault.JWT{Mount: a.Mount, Role: a.Role, File: a.JWTFile}
		default:
			conf.Token, conf.TokenFile = a.Token, a.TokenFile
		}
	}
	store, err := vault.Open(conf)
	if err != nil {
		return nil, nil, fmt.Errorf("open Vault: %w", err)
	}
	return store, store, nil
}

// cached puts the cache in front of a store. It logs one line a change of
// state, not one a message.
func cached(s *settings, store keys.Store, log *slog.Logger) *cache.Cache {
	o := &outage{log: log, now: time.Now, failing: map[keys.Entry]bool{}}
	return cache.New(store, cache.Options{Lifetime: s.cache, Stale: s.stale, Changed: o.changed})
}

// openFilter puts a filter together from the configuration and a store. The
// closer ends what runs for it in the background.
func openFilter(s *settings, store keys.Store, log *slog.Logger) (*milter.Filter, io.Closer, error) {
	set, err := policies.Load(s.Policies)
	if err != nil {
		return nil, nil, err
	}
	filter := &milter.Filter{
		Policies:   set,
		Keys:       store,
		Keyring:    s.keyring(),
		AuthservID: s.AuthservID,
		Internal:   s.internal,
		MaxResult:  s.maxResult,
	}
	closer, err := openTrust(s, filter, log)
	if err != nil {
		return nil, nil, errors.Join(err, closer.Close())
	}
	return filter, closer, nil
}

// spoolMemory is how much of a body is kept in memory, in bytes.
const spoolMemory = 256 << 10

// openSpools makes the spools in the directory of the configuration, or in a
// private one of the system's where it names none.
func openSpools(s *settings) (*milter.Spools, error) {
	directory := s.SpoolDirectory
	if directory == "" {
		directory = "/run/waxseal/spool"
	}
	return milter.NewSpools(s.path(directory, ""), spoolMemory, s.spoolLimit)
}

func newLog(s *settings, w io.Writer) *slog.Logger {
	var level slog.Level
	// The word has been checked with the rest of the configuration.
	_ = level.UnmarshalText([]byte(s.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// describe writes every problem that an error holds, one a line.
func describe(w io.Writer, err error) {
	var joined interface{ Unwrap() []error }
	var problems policies.Problems
	switch {
	case errors.As(err, &problems):
		fmt.Fprintln(w, problems.Error())
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			describe(w, e)
		}
	default:
		fmt.Fprintln(w, err)
	}
}

const configDefault = "/etc/waxseal/waxseal.hcl"
