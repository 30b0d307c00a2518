package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"

	"cosmossdk.io/log/v2"

	"github.com/assaynet/assay/chain/network"
)

// moment is a point in the making of a block.
type moment int

const (
	proposing moment = iota // the pause is over
	complete                // the proposal is here
	prevoted                // and checked
	precommitted
	decided
	finalized
	committed
	rechecked // what waits in the mempool
	prevoteWait
	precommitWait
	offered // the proposal's header
	moments
)

func (m moment) String() string {
	return [moments]string{"pause over", "proposal", "prevote", "precommit", "decided", "finalized", "committed", "rechecked", "prevote wait", "precommit wait", "offered"}[m]
}

// blockClock notes when a node's blocks came to each of their moments. CometBFT tells some of them as
// events, and of others only its log does.
type blockClock struct {
	log.Logger // silent

	mu sync.Mutex
	at map[int64][]instant // by height
}

type instant struct {
	moment
	round int32
	time.Time
}

func newBlockClock() *blockClock {
	return &blockClock{Logger: log.NewNopLogger(), at: make(map[int64][]instant)}
}

func (c *blockClock) note(height int64, round int32, m moment) {
	i := instant{m, round, time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[height] = append(c.at[height], i)
}

// With keeps the clock in the loggers of the node's parts.
func (c *blockClock) With(...any) log.Logger { return c }

func (c *blockClock) Info(msg string, keyVals ...any) {
	switch msg {
	case "received proposal":
		for _, v := range keyVals {
			if p, ok := v.(*cmttypes.Proposal); ok {
				c.note(p.Height, p.Round, offered)
			}
		}
	case "finalized block":
		c.noteLogged(finalized, keyVals)
	case "committed state":
		c.noteLogged(committed, keyVals)
	}
}

func (c *blockClock) Debug(msg string, keyVals ...any) {
	if msg == "done rechecking txs" {
		c.noteLogged(rechecked, keyVals)
	}
}

func (c *blockClock) noteLogged(m moment, keyVals []any) {
	for i := 0; i+1 < len(keyVals); i += 2 {
		if h, ok := keyVals[i+1].(int64); ok && keyVals[i] == "height" {
			c.note(h, 0, m)
		}
	}
}

// follow notes the steps of a node's consensus until the context ends.
func (c *blockClock) follow(ctx context.Context, n *network.Node) error {
	bus := n.Comet().EventBus()
	steps, err := bus.Subscribe(ctx, "clock", cmttypes.EventQueryNewRoundStep, 1_000)
	if err != nil {
		return err
	}
	proposals, err := bus.Subscribe(ctx, "clock", cmttypes.EventQueryCompleteProposal, 1_000)
	if err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.Comet().Quit():
				return
			case m := <-proposals.Out():
				if e, ok := m.Data().(cmttypes.EventDataCompleteProposal); ok {
					c.note(e.Height, e.Round, complete)
				}
			case m := <-steps.Out():
				e, ok := m.Data().(cmttypes.EventDataRoundState)
				if !ok {
					continue
				}
				switch e.Step {
				case "RoundStepPropose":
					c.note(e.Height, e.Round, proposing)
				case "RoundStepPrevote":
					c.note(e.Height, e.Round, prevoted)
				case "RoundStepPrevoteWait":
					c.note(e.Height, e.Round, prevoteWait)
				case "RoundStepPrecommitWait":
					c.note(e.Height, e.Round, precommitWait)
				case "RoundStepPrecommit":
					c.note(e.Height, e.Round, precommitted)
				case "RoundStepCommit":
					c.note(e.Height, e.Round, decided)
				}
			}
		}
	}()
	return nil
}

// timeline is one block at each node.
func (c *chainBench) timeline(s *strings.Builder, phase string, h int64) {
	store := c.net.nodes[0].node.Comet().BlockStore()
	this, next := store.LoadBlockMeta(h), store.LoadBlockMeta(h+1)
	from := this.Header.Time
	fmt.Fprintf(s, "%s: block %d of %d transactions, %.2f s, decided in round %d", phase, h, this.NumTxs, next.Header.Time.Sub(from).Seconds(),
		store.LoadSeenCommit(h).Round)
	if before := store.LoadBlockMeta(h - 1); before != nil {
		fmt.Fprintf(s, "; the one before it of %d", before.NumTxs)
	}
	s.WriteByte('\n')
	for i, k := range c.clocks {
		k.mu.Lock()
		fmt.Fprintf(s, "  node %d:", i)
		round := int32(0)
		for _, at := range append(slices.Clone(k.at[h-1]), k.at[h]...) {
			if at.Before(from) {
				continue
			}
			if at.round > round {
				round = at.round
				fmt.Fprintf(s, " round %d:", round)
			}
			fmt.Fprintf(s, " %s %d,", at.moment, at.Sub(from).Milliseconds())
		}
		k.mu.Unlock()
		s.WriteByte('\n')
	}
}

// stops notes when this process stood still, because the machine gave it no processor: what its blocks
// took then says nothing about them.
type stops struct {
	mu   sync.Mutex
	list []stop
}

type stop struct{ from, to time.Time }

// A stop is at least stopLeast without a hundredth of it in processor time, looked for every stopTick.
const (
	stopTick  = 20 * time.Millisecond
	stopLeast = 300 * time.Millisecond
)

func (s *stops) watch(ctx context.Context) {
	t := time.NewTicker(stopTick)
	defer t.Stop()
	last, cpu := time.Now(), processorTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now, used := time.Now(), processorTime()
		if gap := now.Sub(last); gap > stopLeast && used-cpu < gap/10 {
			s.mu.Lock()
			s.list = append(s.list, stop{last, now})
			s.mu.Unlock()
		}
		last, cpu = now, used
	}
}

// within says for how long the process stood still between two times.
func (s *stops) within(from, to time.Time) (d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.list {
		if x.from.Before(to) && x.to.After(from) {
			d += x.to.Sub(x.from)
		}
	}
	return d
}
