package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/runtime/miner"
)

// Defaults of a development network.
const (
	devnetPort  = 26600
	devnetNodes = 4
	// devnetRate is each miner's speed in units a second: four miners and four
	// nodes leave two cores responsive.
	devnetRate   = 60
	devnetVoting = 45 * time.Second
)

// devnetConfig says which network to keep running.
type devnetConfig struct {
	Dir    string
	Port   int // first of ten ports of each node
	Reset  bool
	Output string
}

func devnetCommand() *cobra.Command {
	cfg := devnetConfig{}
	cmd := &cobra.Command{
		Use:   "devnet",
		Short: "Keep a four-node network running on this machine",
		Long: "Run the network of the demo, four nodes that validate, mine and serve a model, on fixed\n" +
			"ports until Ctrl-C. Its folder is kept: the next start goes on where it stopped.\n\n" +
			"Node i has the ports PORT+10i (peers), +1 (CometBFT RPC), +2 (gRPC), +3 (REST) and\n" +
			"+4 (page, inference, openings). The accounts \"researcher\" and \"client\" have coins; their\n" +
			"keys are in the folder, which serves as --home of keys, tx and query.",
		Example: "  assay devnet\n" +
			"  assay devnet --dir /tmp/net --port 30000\n" +
			"  assay devnet --reset                          begin anew\n" +
			"  assay query sprint epoch --home ~/.cache/assay/devnet",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			return runDevnet(ctx, cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", filepath.Join(cacheDir(), "devnet"), "folder of the network")
	f.IntVar(&cfg.Port, "port", devnetPort, "first port, 1024 to 65000")
	f.BoolVar(&cfg.Reset, "reset", false, "remove what the folder holds of an earlier network")
	f.StringVar(&cfg.Output, "output", "text", "text, or json: one object an event")
	return cmd
}

func runDevnet(ctx context.Context, cfg devnetConfig) (err error) {
	if cfg.Port < 1024 || cfg.Port > 65_000 {
		return fmt.Errorf("--port is 1024 to 65000, not %d", cfg.Port)
	}
	con := newConsole(os.Stdout)
	p, err := newProgress(con, cfg.Output, os.Stdout)
	if err != nil {
		return err
	}
	p.hide = map[string]bool{evServed: true, evChecked: true, evVerdict: true}
	d := &devnet{progress: p, cfg: cfg}
	defer func() {
		con.Live("")
		if d.net != nil {
			err = errors.Join(err, d.net.Close())
		}
		if err == nil {
			p.tell(event{Event: evStopped})
		}
	}()
	if err := d.open(); err != nil {
		return err
	}
	return d.run(ctx)
}

// devnet is a local network that is kept running.
type devnet struct {
	*progress
	cfg devnetConfig
	net *localnet
}

func (d *devnet) say(format string, args ...any) {
	if d.enc == nil {
		d.con.Printf(format, args...)
	}
}

// open makes the network, or opens what an earlier run left.
func (d *devnet) open() error {
	dir, err := filepath.Abs(d.cfg.Dir)
	if err != nil {
		return err
	}
	port := d.cfg.Port
	if err := freePorts(port); err != nil {
		return err
	}
	layout, err := network.LoadLayout(dir)
	known := err == nil && len(layout.Members) > 0
	if d.cfg.Reset {
		if known {
			if err := stopped(layout); err != nil {
				return err
			}
		}
		if err := resetDevnet(dir); err != nil {
			return err
		}
		known, err = false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (--reset begins anew)", err)
	}
	spec := localSpec{
		Dir: dir, Nodes: devnetNodes, BasePort: port, BlockTime: 500 * time.Millisecond,
		Sprint: demoSprint(), Voting: devnetVoting,
		Worker: func(int) miner.Worker {
			return paced{miner.SandboxWorker{Runtime: d.net.engine.rt, Device: d.net.engine.native}, devnetRate}
		},
	}
	spec.Mining = func(i int, e miner.Event) { d.mining(fmt.Sprintf("node%d", i))(e) }
	if !known {
		d.say("making a network in %s", dir)
		if d.net, err = newLocalnet(spec); err != nil {
			return fmt.Errorf("%w (--reset begins anew)", err)
		}
		return d.clientConfig()
	}
	if want := fmt.Sprintf("127.0.0.1:%d", port); len(layout.Members) != devnetNodes || layout.Members[0].Addresses.P2P != want {
		return fmt.Errorf("the network in %s was made for other ports (%s is the first): start it with that --port, or begin anew with --reset",
			dir, layout.Members[0].Addresses.P2P)
	}
	layout.Dir = dir // the folder may have been moved
	for i := range layout.Members {
		layout.Members[i].Home = filepath.Join(dir, layout.Members[i].Moniker)
	}
	d.say("going on with the network in %s", dir)
	d.net, err = openLocalnet(spec, layout)
	return err
}

// stopped refuses a network that runs, perhaps on other ports.
func stopped(l *network.Layout) error {
	conn, err := net.DialTimeout("tcp", l.Members[0].Addresses.P2P, time.Second)
	if err != nil {
		return nil
	}
	return errors.Join(fmt.Errorf("the network in %s runs: stop it first", l.Dir), conn.Close())
}

// resetDevnet removes a network and nothing else.
func resetDevnet(dir string) error {
	homes, err := filepath.Glob(filepath.Join(dir, "node[0-9]*"))
	if err != nil {
		return err
	}
	for _, name := range append(homes, filepath.Join(dir, "keyring-test"), filepath.Join(dir, "config"), filepath.Join(dir, "network.json")) {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("reset %s: %w", dir, err)
		}
	}
	return nil
}

// freePorts says which port another program holds.
func freePorts(base int) error {
	for i := range devnetNodes {
		for j := range 5 {
			addr := fmt.Sprintf("127.0.0.1:%d", base+10*i+j)
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return fmt.Errorf("%s cannot be used (is another devnet running? --port chooses others): %w", addr, err)
			}
			if err := l.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// clientConfig makes the folder usable as --home of the client commands.
func (d *devnet) clientConfig() error {
	homes := []string{d.net.layout.Dir}
	nodes := []network.Member{d.net.layout.Members[0]}
	for _, m := range d.net.layout.Members {
		homes, nodes = append(homes, m.Home), append(nodes, m)
	}
	for i, home := range homes {
		text := fmt.Sprintf("chain-id = %q\nkeyring-backend = \"test\"\noutput = \"text\"\nnode = \"tcp://%s\"\nbroadcast-mode = \"sync\"\n",
			d.net.layout.ChainID, nodes[i].Addresses.RPC)
		dir := filepath.Join(home, "config")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "client.toml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run starts everything and keeps it running until ctx ends or a node stops.
func (d *devnet) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for i := range d.net.nodes {
		if err := d.net.startNode(i); err != nil {
			return err
		}
	}
	for _, n := range d.net.nodes {
		if err := n.node.WaitHeight(ctx, n.node.Height()+1); err != nil {
			return stopCause(ctx, err)
		}
	}
	for i := range d.net.nodes {
		if err := d.net.startWork(ctx, i); err != nil {
			return stopCause(ctx, err)
		}
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	defer fail(nil) // ends the watchers
	for _, n := range d.net.nodes {
		watch.Add(1)
		go func() {
			defer watch.Done()
			select {
			case <-n.node.Halted():
				fail(fmt.Errorf("%s: %w", n.member.Moniker, n.node.Failure()))
			case <-ctx.Done():
			}
		}()
	}
	d.welcome()
	d.follow(ctx, d.net.nodes[0].part.link)
	return stopCause(ctx, nil)
}

// stopCause is nil if ctx ended because the user asked for it.
func stopCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// welcome prints where everything is, and what to try.
func (d *devnet) welcome() {
	l := d.net.layout
	first := l.Members[0].Addresses
	d.tell(event{Event: evReady, Detail: fmt.Sprintf("%d nodes of %s run; Ctrl-C stops them, the folder is kept", len(l.Members), l.ChainID)})
	if d.enc != nil {
		return
	}
	var rows [][]string
	for _, m := range l.Members {
		a := m.Addresses
		rows = append(rows, []string{m.Moniker, "http://" + a.Serve, "tcp://" + a.RPC, a.GRPC, "http://" + a.REST})
	}
	d.say("")
	d.con.table([]string{"node", "page and gateway", "RPC", "gRPC", "REST"}, rows)
	prog := os.Args[0]
	d.say("\n  %s", d.con.bold("to try, in another terminal:"))
	d.say("    %s query sprint epoch --home %s", prog, l.Dir)
	d.say("    %s ask %q --endpoint http://%s", prog, demoPrompt, first.Serve)
	d.say("    %s tx bank send %s %s 1000000000ngnk --from %s --gas 600000 --fees 1000ngnk --yes --home %s\n",
		prog, l.Accounts[clientAccount], l.Accounts[researcherAccount], clientAccount, l.Dir)
}
