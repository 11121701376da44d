package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"waxseal/milter"
)

// shutdownTime is how long messages in work may take after SIGTERM.
const shutdownTime = 30 * time.Second

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the milter until SIGTERM",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return serve(file) },
	}
	cmd.Flags().StringVar(&file, "config", configDefault, "configuration `FILE`")
	return cmd
}

func serve(file string) error {
	if err := forbidCoreDumps(); err != nil {
		return err
	}
	s, err := readConfig(file)
	if err != nil {
		describe(os.Stderr, err)
		return exitStatus(1)
	}
	collectLessOften()
	log := newLog(s, os.Stderr)
	slog.SetDefault(log) // go-milter writes to the standard log
	store, closer, err := openStore(s)
	if err != nil {
		return err
	}
	defer closer.Close()
	cache := cached(s, store, log)
	filter, background, err := openFilter(s, cache, log)
	if err != nil {
		describe(os.Stderr, err)
		return exitStatus(1)
	}
	defer background.Close()
	issuing, err := startIssuing(s, store, cache, filter, log)
	if err != nil {
		describe(os.Stderr, err)
		return exitStatus(1)
	}
	defer issuing.Close()
	spools, err := openSpools(s)
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	monitor, err := openMonitor(s.Monitor, store)
	if err != nil {
		return err
	}
	defer monitor.Close()
	server := &milter.Server{
		Apply:          monitor.count(filter.Apply),
		Spools:         spools,
		Log:            log,
		MaxConnections: s.MaxConnections,
		MaxMessageSize: s.maxMessage,
		ReadTimeout:    s.idleTimeout,
		ApplyTimeout:   s.messageTimeout,
	}
	return run(ctx, s, server, monitor, log)
}

// run serves all listeners until the context ends, then finishes the messages
// in work.
func run(ctx context.Context, s *settings, server *milter.Server, monitor *monitor, log *slog.Logger) error {
	var listeners []net.Listener
	for _, spec := range s.Listen {
		l, err := milter.Listen(spec, s.socketMode, s.SocketGroup)
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return err
		}
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(listeners))
	for i, l := range listeners {
		log.Info("listening", "on", s.Listen[i])
		go func() { failed <- server.Serve(l) }()
	}
	monitor.ready.Store(true)
	log.Info("ready", "version", version, "policies", s.Policies, "keys", s.Keys.Store)
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info("stopping", "grace", shutdownTime.String())
	}
	monitor.ready.Store(false)
	grace, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return errors.Join(err, server.Shutdown(grace))
}

// collectLessOften trades memory for speed: what lives between messages is a few
// MiB, so that by default the garbage of fifty small messages would start a
// collection. GOGC in the environment has the last word.
func collectLessOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// forbidCoreDumps keeps private keys out of core files.
func forbidCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}
