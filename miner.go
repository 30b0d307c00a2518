package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/chain/network"
	powertypes "github.com/assaynet/assay/chain/power/types"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/runtime/till"
	"github.com/assaynet/assay/sdk/client"
)

// minerConfig is what the flags of `assay miner` say.
type minerConfig struct {
	Home      string
	GRPC      string
	ChainID   string // that the node must follow; empty: any
	Listen    string
	Endpoint  string
	Validator bool
	// ValidatorSet says that the flag was given: otherwise a registered miner
	// stays what it is.
	ValidatorSet bool
	Device       string
	Process      bool
	Serve        bool
	Rate         int   // units a second; 0 is as many as the device can
	Price        int64 // ngnk a prompt byte and a token; 0 is free
	Output       string
	Metrics      string // address of Prometheus metrics; empty: none
}

func minerCommand() *cobra.Command {
	cfg := minerConfig{}
	cmd := &cobra.Command{
		Use:   "miner",
		Short: "Mine, serve and audit beside a node until Ctrl-C",
		Long: "Run a miner beside any node: it computes every sprint in the sandbox, commits to the units,\n" +
			"opens them to validators, answers clients with the shipped model, and audits others where\n" +
			"it has a seat. Keys are in the home folder and made if it has none; a home that a node uses\n" +
			"gives both the same identity, as a validator needs.\n\n" +
			"A newcomer needs neither coins nor an account: registering is free, and so is claiming.\n" +
			"Others reach the miner at --endpoint; what it serves there is --listen.\n\n" +
			"A node that is not up, is catching up or goes away is waited for: standard error says so once.\n" +
			"The miner ends with status 0 on Ctrl-C or SIGTERM, and with 1 and the reason when it cannot go on:\n" +
			"damaged keys, a folder or address in use, the wrong chain, an exclusion. A second Ctrl-C kills it.",
		Example: "  assay miner --grpc 127.0.0.1:9090 --endpoint http://203.0.113.7:26680 --listen 0.0.0.0:26680\n" +
			"  assay miner --home /tmp/m1 --grpc 127.0.0.1:26602          beside a devnet\n" +
			"  assay miner --validator --device cpudev --process --output json\n" +
			"  assay miner --metrics 127.0.0.1:26690         for Prometheus, at /metrics",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			cfg.ValidatorSet = cmd.Flags().Changed("validator")
			if err := cfg.check(); err != nil {
				return err
			}
			return runMiner(ctx, cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Home, "home", defaultHome(), "folder of keys and of what was computed")
	f.StringVar(&cfg.GRPC, "grpc", "127.0.0.1:9090", "gRPC address of a node, host:port")
	f.StringVar(&cfg.ChainID, "chain-id", "", "chain that the node must follow (default: that of HOME/config/genesis.json, or any)")
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:26680", "address to serve openings, inference and the page at")
	f.StringVar(&cfg.Endpoint, "endpoint", "", "URL at which others reach --listen (default http://LISTEN)")
	f.BoolVar(&cfg.Validator, "validator", false, "vote blocks once there is power; needs a node with the same home")
	f.BoolVar(&cfg.Serve, "serve", true, "answer clients with the shipped model")
	f.Int64Var(&cfg.Price, "price", 0, "ngnk for each prompt byte and each token, paid by channel; 0 is free")
	f.IntVar(&cfg.Rate, "rate", 0, "most units a second; 0 is as many as the device can")
	f.StringVar(&cfg.Output, "output", "text", "text, or json: one object an event")
	f.StringVar(&cfg.Metrics, "metrics", "", "address to serve Prometheus metrics at; keep it from strangers")
	deviceFlags(cmd, &cfg.Device, &cfg.Process)
	return cmd
}

// defaultHome is a node's.
func defaultHome() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ".assay"
	}
	return filepath.Join(home, ".assay")
}

// check refuses what cannot work, and fills the endpoint.
func (cfg *minerConfig) check() error {
	if _, _, err := net.SplitHostPort(cfg.GRPC); err != nil {
		return fmt.Errorf("--grpc is host:port: %w", err)
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen is host:port: %w", err)
	}
	if cfg.Rate < 0 {
		return fmt.Errorf("--rate is at least 0, not %d", cfg.Rate)
	}
	if cfg.Price < 0 || cfg.Price > till.MaxPrice {
		return fmt.Errorf("--price is %d; 0 to %d ngnk allowed", cfg.Price, int64(till.MaxPrice))
	}
	if cfg.Endpoint == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || port == "0" {
			return fmt.Errorf("others cannot reach %q: say with --endpoint at which URL they can", cfg.Listen)
		}
		cfg.Endpoint = "http://" + cfg.Listen
	}
	if _, _, err := net.SplitHostPort(cfg.Metrics); cfg.Metrics != "" && err != nil {
		return fmt.Errorf("--metrics is host:port: %w", err)
	}
	if err := powertypes.CheckEndpoint(cfg.Endpoint); err != nil {
		return fmt.Errorf("--endpoint: %w", err)
	}
	return nil
}

func runMiner(ctx context.Context, cfg minerConfig) (err error) {
	con := newConsole(os.Stdout)
	p, err := newProgress(con, cfg.Output, os.Stdout)
	if err != nil {
		return err
	}
	enc, err := client.NewEncoding()
	if err != nil {
		return err
	}
	open, err := checkHome(cfg.Home, enc.Codec)
	if err != nil {
		return err
	}
	for _, path := range open {
		con.Aside("assay: warning: others can read " + path + "; it holds secrets: chmod go-rwx")
	}
	if cfg.ChainID == "" {
		if cfg.ChainID, err = chainOf(cfg.Home); err != nil {
			return err
		}
	}
	keys, err := network.LoadKeys(cfg.Home, enc.Codec)
	if err != nil {
		return err
	}
	p.own = keys.Operator.String()
	m := newMetrics()
	p.also = m.told
	e, err := newEngineOn(cacheDir(), func() (device.Device, error) { return openDevice(cfg.Device, cfg.Process, m.failed) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	models := gateway.NewSandbox(e.native)
	defer func() { err = errors.Join(err, models.Close()) }()
	if cfg.Serve {
		if err := serveShippedModel(e, models); err != nil {
			return err
		}
	}
	part := participantConfig{
		Home: cfg.Home, GRPC: cfg.GRPC, Listen: cfg.Listen, Keys: keys, Engine: e, Models: models,
		Mining: func(e miner.Event) { m.mining(e); p.mining("")(e) }, Audit: p.auditing(""),
		Answers: func(a gateway.Answer) { m.answered(a); p.answered(a) }, Price: cfg.Price,
		Node: nodeWatch{ChainID: cfg.ChainID, Waiting: p.waiting, Back: p.nodeBack},
	}
	part.Register = func(ctx context.Context, l *link) (func(context.Context) error, error) {
		if err := register(ctx, cfg, keys, l, p); err != nil {
			return nil, err
		}
		return l.registered, nil
	}
	if cfg.Rate > 0 {
		part.Worker = paced{miner.SandboxWorker{Runtime: e.rt, Device: e.native}, cfg.Rate}
	}
	running, err := startParticipant(ctx, part)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if cfg.Metrics != "" {
		m.audits(running.auditor.Stats)
		m.gpus(e.native)
		if err := running.serve(cfg.Metrics, m.handler()); err != nil {
			return errors.Join(err, running.Close())
		}
	}
	p.tell(event{Event: evReady, Peer: p.own, Detail: fmt.Sprintf("mining on %s, serving http://%s; Ctrl-C stops", e.native.Name(), cfg.Listen)})
	// Who runs this in a supervisor wants it to end, not to idle, once a part of it has.
	following, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-running.failed:
			stop()
		case <-following.Done():
		}
	}()
	p.follow(following, running.link)
	con.Live("")
	if err = running.Close(); err == nil {
		p.tell(event{Event: evStopped})
	}
	return err
}

// register makes the chain know the home's keys and the endpoint, fee-free.
func register(ctx context.Context, cfg minerConfig, keys *network.Keys, l *link, p *progress) error {
	c, acct := l.c, l.acct
	known, err := powertypes.NewQueryClient(c.Conn()).Miner(ctx, &powertypes.QueryMinerRequest{Operator: acct.Address()})
	switch {
	case notFound(err):
	case err != nil:
		return fmt.Errorf("ask for miner %s: %w", acct.Address(), err)
	case known.Miner.Tombstoned:
		return fmt.Errorf("miner %s signed two blocks of one height and is excluded for good: use another home", acct.Address())
	default:
		if !cfg.ValidatorSet {
			cfg.Validator = known.Miner.Validator
		}
		if sameRegistration(known.Miner, cfg, keys) {
			return nil
		}
	}
	msg, err := keys.Registration(c.ChainID(), cfg.Endpoint, cfg.Validator)
	if err != nil {
		return err
	}
	r, err := acct.Send(ctx, client.SendOptions{Lane: true}, msg)
	if err != nil {
		return fmt.Errorf("register %s: %w", acct.Address(), err)
	}
	p.tell(event{Event: evRegistered, Peer: acct.Address(), Height: r.Height, Detail: cfg.Endpoint})
	return nil
}

// sameRegistration says whether the chain already holds what would be sent.
func sameRegistration(m powertypes.Miner, cfg minerConfig, keys *network.Keys) bool {
	if len(m.VrfKeys) == 0 {
		return false
	}
	vrf := m.VrfKeys[len(m.VrfKeys)-1].Pubkey // the newest
	return m.Endpoint == cfg.Endpoint && m.Validator == cfg.Validator &&
		bytes.Equal(m.ConsPubkey, keys.Consensus.Key.PubKey.Bytes()) && bytes.Equal(vrf, keys.VRF.Public().Bytes())
}
