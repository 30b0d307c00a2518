package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/auditor"
)

// cheatNode is the node whose miner falsifies a tenth of its units.
const cheatNode = 2

// lateNode is the node that is stopped and restarted.
const lateNode = 3

// demo shows the whole loop on a network of four nodes and checks each step.
type demo struct {
	*console
	net *localnet

	mu    sync.Mutex
	units map[int]uint64            // units computed in the epoch, by node
	drawn map[uint64]map[string]int // units re-executed, by epoch and claimant
	falsy map[string]int            // units found false, by claimant
	fails []string                  // errors of services, for the post-mortem
}

// demoStep is one thing that must hold.
type demoStep struct {
	title string
	run   func(*demo, context.Context) error
}

var demoSteps = []demoStep{
	{"CometBFT produces blocks; a stopped node catches up to the same state", (*demo).blocks},
	{"Miners run transformerpow.wasm, commit a Merkle root on chain and extend it", (*demo).sprint},
	{"Validators draw units by VRF and re-execute them; a cheat is proven and jailed", (*demo).audit},
	{"Emission is paid for what survived, to the last ngnk", (*demo).settle},
	{"Governance replaces the proof of work: no restart, no rebuild", (*demo).govern},
	{"A client streams an answer and re-runs its signed receipt", (*demo).infer},
}

func demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show and check the whole loop on a four-node network in this process",
		Long: "Start a four-node network in this process, each node a validator and a miner with its own\n" +
			"keys and data in a temporary folder, and show and check the whole loop: blocks, a sprint,\n" +
			"the audit, a cheat, payment, a vote on new work, and inference with a receipt.\n" +
			"Exits 0 only if every step held.",
		Example: "  assay demo\n  assay demo --keep",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			cmd.SilenceUsage = true
			return runDemo(ctx, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the network's folder")
	return cmd
}

// demoSprint are the epochs of the demo: long enough for two cores to serve
// four miners, short enough to see three of them.
func demoSprint() sprinttypes.Params {
	p := sprinttypes.DefaultParams()
	p.ComputeBlocks, p.CommitBlocks, p.AuditBlocks, p.EpochBlocks = 26, 32, 14, 60
	p.Fold = 16
	p.MinClaimUnits = 16
	p.MaxClaimUnits = 1 << 16
	p.SampleMin, p.SampleMax = 200, 300
	return p
}

func runDemo(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "assay-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d := &demo{console: newConsole(os.Stdout), units: map[int]uint64{}, drawn: map[uint64]map[string]int{}, falsy: map[string]int{}}
	defer func() {
		d.Live("")
		if d.net != nil {
			err = errors.Join(err, d.net.Close())
		}
		if keep {
			d.Printf("kept: %s", dir)
		} else {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	d.Printf("%s", d.bold("Assay demo: four nodes, four miners, one of them a cheat"))
	d.net, err = newLocalnet(localSpec{
		Dir: dir, Nodes: 4, BlockTime: 350 * time.Millisecond, Sprint: demoSprint(), Voting: 14 * time.Second,
		Price: d.price, Worker: d.worker, Mining: d.mining, Audit: d.auditing,
	})
	if err != nil {
		return fmt.Errorf("demo: prepare the network: %w", err)
	}
	stopTicker := d.ticker(ctx)
	defer stopTicker()
	for i, s := range demoSteps {
		d.Printf("\n%s %s", d.bold(fmt.Sprintf("%d.", i+1)), d.bold(s.title))
		if err := s.run(d, ctx); err != nil {
			d.Printf("   %s %v", d.red("✗"), err)
			d.postMortem()
			return fmt.Errorf("step %d failed: %s", i+1, s.title)
		}
	}
	d.Printf("\n%s in %s", d.green("every step held"), d.Stamp())
	return nil
}

// ok prints something that was checked and holds.
func (d *demo) ok(format string, args ...any) {
	d.Printf("   %s %s  %s", d.green("✓"), fmt.Sprintf(format, args...), d.dim(d.Stamp()))
}

// demoRates are the miners' speeds in units a second: unequal, as in life.
var demoRates = []int{400, 300, 400, 200}

// worker supplies the miners' pace, and the cheat's lies.
func (d *demo) worker(node int) miner.Worker {
	w := paced{miner.SandboxWorker{Runtime: d.net.engine.rt, Device: d.net.engine.native}, demoRates[node]}
	if node == cheatNode {
		return cheat{w}
	}
	return w
}

func (d *demo) mining(node int, e miner.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e.Kind {
	case miner.EventUnits, miner.EventEpoch:
		d.units[node] = e.Units
	case miner.EventError:
		d.fail("miner", node, e.Err)
	}
}

func (d *demo) auditing(node int, e auditor.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e.Kind {
	case auditor.EventClaim:
		if d.drawn[e.Epoch] == nil {
			d.drawn[e.Epoch] = map[string]int{}
		}
		d.drawn[e.Epoch][string(e.Claimant)] += e.Units
	case auditor.EventFalse:
		d.falsy[string(e.Claimant)]++
	case auditor.EventError:
		d.fail("auditor", node, e.Err)
	}
}

// fail remembers the last errors of the services; the caller holds mu.
func (d *demo) fail(who string, node int, err error) {
	const kept = 12
	d.fails = append(d.fails, fmt.Sprintf("%s %s of node %d: %v", d.Stamp(), who, node, err))
	if len(d.fails) > kept {
		d.fails = d.fails[1:]
	}
}

func (d *demo) postMortem() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.fails {
		d.Printf("     %s", d.dim(f))
	}
}

// ticker redraws the live line until the returned function is called.
func (d *demo) ticker(ctx context.Context) (stop func()) {
	if !d.tty {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				d.redraw(ctx)
			}
		}
	}()
	return func() { cancel(); <-done; d.Live("") }
}

// redraw shows height, epoch, phase and the miners' progress.
func (d *demo) redraw(ctx context.Context) {
	first := d.net.nodes[0].part
	if first == nil {
		d.Live("   starting %s", d.Stamp())
		return
	}
	r, err := first.link.epoch(ctx)
	if err != nil {
		return
	}
	e := r.Epoch
	d.mu.Lock()
	var units uint64
	for _, n := range d.units {
		units += n
	}
	d.mu.Unlock()
	d.Live("   height %d  epoch %d %s %-10s  %s  %d units", r.Height, e.Number,
		bar(r.Height-e.StartHeight, max(1, e.NextStart-e.StartHeight), 24), phaseName(e.Phase), moduleName(e.Work.ModuleHash), units)
}
