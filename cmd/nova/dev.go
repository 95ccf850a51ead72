package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nova/ingest"
	"nova/internal/blob"
	"nova/internal/devstack"
	"nova/internal/lifecycle"
	"nova/internal/obs"
	"nova/packager"
	"nova/packager/origin"
	"nova/packager/store"
	"nova/transcode"
	"nova/web"
)

type devCommand struct {
	sources
	Dir   string `help:"Where everything is kept." default:".nova"`
	Demo  bool   `help:"Publish the demo clip as a stream of its own." default:"true" negatable:""`
	Clip  string `help:"The demo clip." default:"${clip}" env:"NOVA_CLIP"`
	Check bool   `help:"Validate the configuration and exit."`
}

// Run starts everything, tells when it is ready, and stops in order at the first signal.
func (c devCommand) Run() error {
	cfg, err := c.load()
	if err != nil || c.Check {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the state folder: %w", err)
	}
	log, closeLog, err := devLogger(c.Dir, cfg.Log.Level)
	if err != nil {
		return err
	}
	defer closeLog()
	ctx, cancel := lifecycle.Signals(log, os.Exit)
	defer cancel()
	d := &dev{devCommand: c, cfg: cfg, log: log, reg: obs.NewRegistry(), ready: &obs.Readiness{}}
	defer d.close()
	if err := d.build(ctx); err != nil {
		return err
	}
	return d.serve(ctx)
}

// devLogger writes everything to a file, and warnings to the terminal too.
func devLogger(dir string, level slog.Level) (*slog.Logger, func(), error) {
	file, err := os.OpenFile(filepath.Join(dir, "nova.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the log: %w", err)
	}
	both := slog.NewMultiHandler(obs.NewLogger(file, level).Handler(), obs.NewLogger(os.Stderr, slog.LevelWarn).Handler())
	return slog.New(both), func() { file.Close() }, nil
}

// dev is a nova dev that is being wired. Its parts appear in the order in which a frame meets them.
type dev struct {
	devCommand
	cfg   *config
	log   *slog.Logger
	reg   *prometheus.Registry
	ready *obs.Readiness

	secrets   secrets
	stack     *devstack.Stack
	bucket    *blob.Bucket // for uploads
	reads     *blob.Bucket // for viewers, who must not take the uploads' connections
	ingest    *ingest.Ingest
	transcode *transcode.Supervisor
	packager  *packager.Packager
	store     *store.Store
	front     *httpService
	admin     *httpService
}

func (d *dev) build(ctx context.Context) (err error) {
	// The ports first: what somebody else holds should be told before anything has been started.
	front, err := listen(ctx, "http.address", d.cfg.HTTP.Address)
	if err != nil {
		return err
	}
	admin, err := listen(ctx, "admin.address", d.cfg.Admin.Address)
	if err != nil {
		return err
	}
	if d.stack, err = devstack.Open(d.Dir, d.log); err != nil {
		return err
	}
	os.Remove(filepath.Join(d.Dir, factsFile)) // left by a nova dev that was killed
	if d.secrets, err = ensureSecrets(d.Dir); err != nil {
		return err
	}
	if err := d.buildStorage(ctx); err != nil {
		return err
	}
	if err := d.buildServices(); err != nil {
		return err
	}
	return d.buildFront(front, admin)
}

// buildStorage reaches the configured bucket, or starts a server for one.
func (d *dev) buildStorage(ctx context.Context) error {
	cfg := d.cfg.S3
	if d.cfg.embeddedS3() {
		server, err := devstack.NewS3(d.Dir, "nova")
		if err != nil {
			return err
		}
		if err := d.stack.Start(ctx, server); err != nil {
			return err
		}
		cfg = server.Config()
	}
	var err error
	if d.bucket, err = blob.New(ctx, cfg, d.reg); err != nil {
		return err
	}
	if d.reads, err = blob.New(ctx, cfg, d.reg); err != nil {
		return err
	}
	if d.store, err = store.New(d.cfg.Store, d.bucket, d.log, d.reg); err != nil {
		return err
	}
	d.ready.Add("store", d.store.Check)
	return nil
}

func (d *dev) buildServices() (err error) {
	if d.cfg.Ingest.Auth.File == "" && d.cfg.Ingest.Auth.Callback.URL == "" {
		d.cfg.Ingest.Auth.File = filepath.Join(d.Dir, keysFile)
	}
	if d.ingest, err = ingest.New(d.cfg.Ingest, d.log, d.reg); err != nil {
		return err
	}
	if err := d.ingest.Listen(); err != nil {
		return err
	}
	if d.transcode, err = transcode.New(d.cfg.Transcode, d.ingest.Source(), d.log, d.reg); err != nil {
		return err
	}
	d.packager, err = packager.New(d.cfg.Packager, d.ingest.Source(), d.transcode.Source(), d.store, d.log, d.reg)
	return err
}

// buildFront gives a browser one origin for the page, the API and the media.
func (d *dev) buildFront(front, admin net.Listener) error {
	media, err := origin.New(d.cfg.Origin, d.packager, d.store, d.reads, d.log, d.reg)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	obs.HandleHealth(mux, d.ready, d.reg)
	for _, path := range []string{"/hls/", "/vod/", "/api/v2/live", "/api/v2/recordings"} {
		mux.Handle(path, media)
	}
	mux.Handle("/", web.Handler())
	d.front = newHTTPService(front, mux, d.log)

	private := http.NewServeMux()
	obs.HandleHealth(private, d.ready, d.reg)
	obs.HandleProfiles(private)
	private.HandleFunc("GET /streams", d.servePublishers)
	d.admin = newHTTPService(admin, private, d.log)
	return nil
}

// servePublishers tells an operator what every publisher sends and what is wrong with it.
func (d *dev) servePublishers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{"streams": d.ingest.Hub().Streams()}) // the client has gone where this fails
}

// serve runs the services: started from the end of a frame's way to its beginning, stopped the other way round,
// so that the end of a stream travels through all of them.
func (d *dev) serve(ctx context.Context) error {
	services := []lifecycle.Service{
		{Name: "admin", Run: d.admin.Run},
		{Name: "embedded servers", Run: d.watchStack},
		{Name: "store", Run: d.store.Run},
		{Name: "front", Run: d.front.Run},
		{Name: "packager", Run: d.packager.Run},
		{Name: "transcode", Run: d.transcode.Run},
		{Name: "ingest", Run: d.ingest.Run},
		{Name: "announcement", Run: d.runAnnouncement},
	}
	if d.Demo {
		services = append(services, lifecycle.Service{Name: "demo", Run: d.runDemo})
	}
	return lifecycle.Run(ctx, d.log, d.cfg.DrainTimeout, services...)
}

// watchStack fails where an embedded server ended by itself.
func (d *dev) watchStack(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-d.stack.Crashed():
		return err
	}
}

// runAnnouncement tells a person and dev.json that everything is ready, and takes it back at the stop.
func (d *dev) runAnnouncement(ctx context.Context) error {
	path := filepath.Join(d.Dir, factsFile)
	defer os.Remove(path)
	defer d.ready.Stopping()
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	f := d.facts()
	if err := writeJSON(path, f); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	d.log.Info("ready", "http_url", f.HTTPURL, "rtmp_url", f.RTMPURL)
	d.announce(f)
	<-ctx.Done()
	return ctx.Err()
}

func (d *dev) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if d.ready.Check(ctx).Ready {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *dev) facts() facts {
	base := "http://" + reachable(d.front.listener.Addr())
	return facts{
		HTTPURL: base, AdminURL: "http://" + reachable(d.admin.listener.Addr()),
		RTMPURL:   "rtmp://" + reachable(d.ingest.RTMPAddr()) + "/live",
		StreamKey: d.secrets.UserKey, PlaybackID: userStream,
		HLSURL: base + "/hls/" + userStream + "/index.m3u8", WatchURL: base + "/watch/" + userStream,
		PID: os.Getpid(),
	}
}

// reachable is an address that a client on this machine can use: a listener on all interfaces has none.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return addr.String()
}

func (d *dev) announce(f facts) {
	fmt.Printf("\n  Nova is ready.\n\n")
	fmt.Printf("  watch         %s/\n", f.HTTPURL)
	fmt.Printf("  publish       %s   key: %s\n", f.RTMPURL, f.StreamKey)
	fmt.Printf("  your stream   %s\n", f.WatchURL)
	if d.Demo {
		fmt.Printf("  demo          %s/watch/%s (in a few seconds)\n", f.HTTPURL, demoStream)
	}
	fmt.Printf("  admin         %s/streams, /metrics, /ready, /debug/pprof\n", f.AdminURL)
	fmt.Printf("  log           %s\n\n  Ctrl-C stops.\n\n", filepath.Join(d.Dir, "nova.log"))
}

func (d *dev) runDemo(ctx context.Context) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	url := "rtmp://" + reachable(d.ingest.RTMPAddr()) + "/live/" + d.secrets.DemoKey
	err := publisher{log: d.log, clip: d.Clip, url: url}.Run(ctx)
	if ctx.Err() != nil || err == nil {
		return err
	}
	// A missing clip is no reason to stop the rest.
	d.log.Warn("no demo stream", obs.Err(err))
	<-ctx.Done()
	return ctx.Err()
}

func (d *dev) close() {
	for _, b := range []*blob.Bucket{d.bucket, d.reads} {
		if b != nil {
			b.Close()
		}
	}
	if d.stack != nil {
		d.stack.Close()
	}
}
