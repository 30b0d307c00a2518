package network

import (
	"errors"
	"fmt"
	"sync/atomic"

	"cosmossdk.io/log/v2"

	"github.com/cometbft/cometbft/node"
)

// ErrHalted says that a node's consensus stopped by itself.
var ErrHalted = errors.New("network: consensus stopped")

// Halted is closed when the node's consensus has ended: by Stop, or by itself, where CometBFT logs a
// consensus failure and leaves everything else running. Whoever runs the node should then stop it: a
// failure passes with its cause (a full disk, a state file that cannot be written), and the node goes on
// where it was when it starts again.
func (n *Node) Halted() <-chan struct{} { return n.halted }

// Failure is ErrHalted with the height and, as far as CometBFT told it, the reason. It is meaningful once
// Halted is closed.
func (n *Node) Failure() error {
	if why := n.why.reason.Load(); why != nil {
		return fmt.Errorf("%w at height %d: %s", ErrHalted, n.Height(), *why)
	}
	return fmt.Errorf("%w at height %d", ErrHalted, n.Height())
}

// failure is the reason of the first consensus failure.
type failure struct{ reason atomic.Pointer[string] }

// failureLogger keeps the reason that CometBFT only logs.
type failureLogger struct {
	log.Logger
	to *failure
}

func (l failureLogger) With(keyVals ...any) log.Logger {
	return failureLogger{l.Logger.With(keyVals...), l.to}
}

func (l failureLogger) Error(msg string, keyVals ...any) {
	if msg == "CONSENSUS FAILURE!!!" {
		for i := 0; i+1 < len(keyVals); i += 2 {
			if keyVals[i] == "err" {
				why := fmt.Sprint(keyVals[i+1])
				l.to.reason.CompareAndSwap(nil, &why)
			}
		}
	}
	l.Logger.Error(msg, keyVals...)
}

// watchConsensus returns what is closed when consensus ends. A node that is stopped before it has caught
// up never began, and is not told of.
func watchConsensus(comet *node.Node) (chan struct{}, error) {
	env, err := comet.ConfigureRPC()
	if err != nil {
		return nil, fmt.Errorf("network: reach consensus: %w", err)
	}
	consensus, ok := env.ConsensusState.(interface{ Wait() })
	if !ok {
		return nil, fmt.Errorf("network: consensus is a %T, which nobody can wait for", env.ConsensusState)
	}
	halted := make(chan struct{})
	go func() {
		consensus.Wait()
		close(halted)
	}()
	return halted, nil
}
