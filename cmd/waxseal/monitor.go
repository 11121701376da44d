package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waxseal/keys"
	"waxseal/milter"
)

// monitor counts messages and serves /metrics, /healthz and /readyz.
type monitor struct {
	ready    atomic.Bool
	registry *prometheus.Registry
	messages *prometheus.CounterVec
	seconds  prometheus.Histogram
	server   *http.Server
}

// openMonitor listens on address, or only counts where it is empty.
func openMonitor(address string, store keys.Store) (*monitor, error) {
	m := &monitor{
		registry: prometheus.NewRegistry(),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waxseal_messages_total",
			Help: "Messages, by what was done with them and the cause of a refusal.",
		}, []string{"action", "cause"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "waxseal_message_seconds",
			Help:    "Time from the end of a message to its verdict.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}),
	}
	state := &storeState{store: store}
	m.registry.MustRegister(m.messages, m.seconds, state.gauge(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if address == "" {
		return m, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !m.ready.Load() {
			http.Error(w, "not listening for messages", http.StatusServiceUnavailable)
			return
		}
		if err := state.ready(); err != nil {
			http.Error(w, "key store: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the monitor: %w", err)
	}
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go m.server.Serve(listener)
	return m, nil
}

// storeState asks the key store whether it is ready, at most once a second
// however many want to know.
type storeState struct {
	store keys.Store

	mu    sync.Mutex
	asked time.Time
	err   error
}

func (s *storeState) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.asked) >= time.Second {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.err = s.store.Ready(ctx)
		s.asked = time.Now()
	}
	return s.err
}

func (s *storeState) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "waxseal_key_store_ready",
		Help: "1 if the key store can be read, 0 if messages live on what was read before.",
	}, func() float64 {
		if s.ready() != nil {
			return 0
		}
		return 1
	})
}

// Close stops listening.
func (m *monitor) Close() error {
	if m.server == nil {
		return nil
	}
	return m.server.Close()
}

// count wraps the filter's Apply.
func (m *monitor) count(apply func(context.Context, *milter.Transaction) (*milter.Outcome, error)) func(context.Context, *milter.Transaction) (*milter.Outcome, error) {
	return func(ctx context.Context, tx *milter.Transaction) (*milter.Outcome, error) {
		begin := time.Now()
		outcome, err := apply(ctx, tx)
		m.seconds.Observe(time.Since(begin).Seconds())
		if err != nil || outcome == nil {
			m.messages.WithLabelValues("tempfail", "internal").Inc()
			return outcome, err
		}
		cause := ""
		for _, a := range outcome.Log {
			if a.Key == "cause" {
				cause = a.Value.String()
			}
		}
		m.messages.WithLabelValues(string(outcome.Action), cause).Inc()
		return outcome, err
	}
}
