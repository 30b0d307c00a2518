package main

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// paceGoal is what no block of a network of four nodes on two processor cores may take longer than.
const paceGoal = 2 * time.Second

// benchPhase is a part of the benchmark, from a height on.
type benchPhase struct {
	name string
	from int64
	cpu  time.Duration // of this process, when it began
}

// phase says that a part of the benchmark begins with the next block.
func (c *chainBench) phase(name string) {
	c.parts = append(c.parts, benchPhase{name, c.net.nodes[0].node.Height() + 1, processorTime()})
}

// processorTime is what this process, which is all four nodes and who sends to them, has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pace is a table of the phases: how long their blocks took, from the block headers. A block's time is
// the distance to the next header: its proposal, the votes, its execution and the pause.
func (c *chainBench) pace() (table string, longest time.Duration) {
	var s strings.Builder
	fmt.Fprintf(&s, "| %-13s | blocks | transactions | most in a block | longest block | of %v | processor ms a node: each transaction | block |\n", "phase", paceGoal)
	store := c.net.nodes[0].node.Comet().BlockStore()
	var longestOf []int64
	stopped := 0
	for i, p := range c.parts[:len(c.parts)-1] {
		next := c.parts[i+1]
		blocks, txs, most, slowest, at := 0, 0, 0, time.Duration(0), p.from
		for h := p.from; h < next.from; h++ {
			this, after := store.LoadBlockMeta(h), store.LoadBlockMeta(h+1)
			if c.stops.within(this.Header.Time, after.Header.Time) > 0 {
				stopped++
			} else if took := after.Header.Time.Sub(this.Header.Time); took > slowest {
				slowest, at = took, h
			}
			blocks, txs, most = blocks+1, txs+this.NumTxs, max(most, this.NumTxs)
		}
		used := (next.cpu - p.cpu).Seconds() * 1e3 / float64(len(c.net.nodes))
		each := "-"
		if txs > 100 {
			each = fmt.Sprintf("%.2f", used/float64(txs))
		}
		fmt.Fprintf(&s, "| %-13s | %6d | %12d | %15d | %13.2f | %5.0f%% | %38s | %5.0f |\n",
			p.name, blocks, txs, most, slowest.Seconds(), 100*slowest.Seconds()/paceGoal.Seconds(), each, used/float64(blocks))
		longestOf = append(longestOf, at)
		if i > 0 { // the first block also writes the genesis
			longest = max(longest, slowest)
		}
	}
	if stopped > 0 {
		fmt.Fprintf(&s, "%d blocks are left out, in which this process stood still\n", stopped)
	}
	s.WriteString("\nthe longest block of each phase, in ms since the votes for the one before it\n")
	for i, h := range longestOf {
		c.timeline(&s, c.parts[i].name, h)
	}
	return s.String(), longest
}
