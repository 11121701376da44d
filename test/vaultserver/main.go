// Command vaultserver is a real Vault server with only the parts that
// waxseal's tests use: KV, Transit, PKI, AppRole, TLS certificate and token
// auth, the file audit device, and in-memory or file storage. It starts
// uninitialised or sealed; sys/init and sys/unseal are the tests' business.
//
// It prints one JSON line on standard output once it listens, logs to standard
// error, and exits on SIGINT, SIGTERM, or (with -with-stdin) when its standard
// input closes, so that it never outlives the test that started it.
//
// Vault is under the Business Source License 1.1. This module is for tests
// alone: nothing of it is linked into waxseal or shipped with it.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	certauth "github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/logical/pki"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// registry lists the engines that can be mounted. It implements what Vault
// asks of its plugin catalogue.
type registry map[consts.PluginType]map[string]logical.Factory

var engines = registry{
	consts.PluginTypeSecrets:    {"kv": kv.Factory, "transit": transit.Factory, "pki": pki.Factory},
	consts.PluginTypeCredential: {"approle": approle.Factory, "cert": certauth.Factory},
}

func (r registry) Get(name string, t consts.PluginType) (func() (any, error), bool) {
	f, ok := r[t][name]
	return func() (any, error) { return f, nil }, ok
}

func (r registry) Contains(name string, t consts.PluginType) bool {
	_, ok := r[t][name]
	return ok
}

func (r registry) Keys(t consts.PluginType) (names []string) {
	for name := range r[t] {
		names = append(names, name)
	}
	return names
}

func (r registry) DeprecationStatus(name string, t consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, t)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

// ready is the line printed once the server listens.
type ready struct {
	Address string `json:"address"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vaultserver:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on")
	cert := flag.String("tls-cert", "", "serve HTTPS with this certificate `file`")
	key := flag.String("tls-key", "", "private key `file` of -tls-cert")
	storage := flag.String("storage", "inmem", "storage: inmem or file")
	path := flag.String("path", "", "`directory` of file storage")
	maxTTL := flag.Duration("max-lease-ttl", 0, "longest lease (default 768h)")
	level := flag.String("log-level", "warn", "log level")
	withStdin := flag.Bool("with-stdin", false, "exit when standard input closes")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *withStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}

	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.LevelFromString(*level)})

	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	tlsConf := &tls.Config{NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	scheme := "http"
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		tlsConf.Certificates = []tls.Certificate{pair}
		tlsConf.ClientAuth = tls.RequestClientCert // the login checks it
		scheme = "https"
	}
	addr := scheme + "://" + ln.Addr().String()

	conf := &vault.CoreConfig{
		StorageType:        *storage,
		Logger:             logger,
		LogLevel:           *level,
		DisableMlock:       true,
		DisableSSCTokens:   true,
		MaxLeaseTTL:        *maxTTL,
		RedirectAddr:       addr,
		ClusterName:        "test",
		BuiltinRegistry:    engines,
		LogicalBackends:    engines[consts.PluginTypeSecrets],
		CredentialBackends: engines[consts.PluginTypeCredential],
		AuditBackends:      map[string]audit.Factory{"file": audit.NewFileBackend},
	}
	if conf.MaxLeaseTTL != 0 && conf.MaxLeaseTTL < 32*24*time.Hour {
		conf.DefaultLeaseTTL = conf.MaxLeaseTTL
	}
	physLog := logger.Named("storage")
	switch *storage {
	case "inmem":
		conf.Physical, err = inmem.NewTransactionalInmem(nil, physLog)
	case "file":
		conf.Physical, err = file.NewTransactionalFileBackend(map[string]string{"path": *path}, physLog)
	default:
		err = fmt.Errorf("unknown storage %q", *storage)
	}
	if err != nil {
		return err
	}

	core, err := vault.NewCore(conf)
	if err != nil && !vault.IsFatalError(err) {
		logger.Warn("starting sealed", "error", err)
	} else if err != nil {
		return err
	}

	lc := &configutil.Listener{Type: "tcp", Address: ln.Addr().String(), TLSDisable: *cert == ""}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: lc})
	core.SetClusterHandler(handler)
	srv := &http.Server{
		Handler:           handler,
		TLSConfig:         tlsConf,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          logger.Named("http").StandardLogger(nil),
	}
	served := make(chan error, 1)
	go func() {
		if *cert != "" {
			served <- srv.ServeTLS(ln, "", "")
		} else {
			served <- srv.Serve(ln)
		}
	}()

	if err := json.NewEncoder(os.Stdout).Encode(ready{Address: addr}); err != nil {
		return err
	}

	select {
	case err = <-served:
	case <-ctx.Done():
		sctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		srv.Shutdown(sctx)
		err = core.ShutdownWait()
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}
