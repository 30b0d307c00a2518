package types

// Bounds of the parameters: what a governance proposal may choose.
const (
	// MaxValidatorsLimit keeps a commit's signatures and an epoch's verdicts small.
	MaxValidatorsLimit = 200
	// MaxWindowEpochs bounds the shares that are kept for each miner.
	MaxWindowEpochs = 365
	// MinTotalPower keeps rounding below 1/1,000 of a validator's power.
	MinTotalPower = 100_000
	// MaxTotalPower is far below CometBFT's limit of 2^60.
	MaxTotalPower = 1 << 40
	// MaxStampBits keeps a stamp below about a minute of one core.
	MaxStampBits = 32
	// MaxEpochs bounds periods that are counted in epochs.
	MaxEpochs = 1 << 20
	// MaxEndpointBytes bounds the endpoint of a miner.
	MaxEndpointBytes = 256
)

// DefaultParams are the parameters of a public network.
func DefaultParams() Params {
	return Params{
		WindowEpochs:   14,
		MaxValidators:  100,
		TotalPower:     1_000_000,
		MaxChangeBps:   1_000,
		MissedWindow:   10_000,
		MissedMax:      5_000,
		EvidenceEpochs: 21,
		JailEpochs:     14,
		Lane:           DefaultLane(),
	}
}

// DefaultLane bounds the lane for 100 validators and 10,000 miners: a verdict over 10,000
// claims is below 2 KiB, a report with the opening of one fold of 64 units below 8 KiB.
func DefaultLane() Lane {
	return Lane{
		BlockBytes: 1 << 20,
		TxBytes:    64 << 10,
		TxMessages: 4,
		TxGas:      2_000_000,
		EpochTxs:   256,
		StampBits:  20,
	}
}

// Validate checks every bound.
func (p Params) Validate() error {
	switch {
	case p.WindowEpochs < 1 || p.WindowEpochs > MaxWindowEpochs:
		return ErrParams.Wrapf("window_epochs is %d, want 1 to %d", p.WindowEpochs, MaxWindowEpochs)
	case p.MaxValidators < 1 || p.MaxValidators > MaxValidatorsLimit:
		return ErrParams.Wrapf("max_validators is %d, want 1 to %d", p.MaxValidators, MaxValidatorsLimit)
	case p.TotalPower < MinTotalPower || p.TotalPower > MaxTotalPower:
		return ErrParams.Wrapf("total_power is %d, want %d to %d", p.TotalPower, MinTotalPower, uint64(MaxTotalPower))
	case p.MaxChangeBps < 1 || p.MaxChangeBps > 3_333:
		// A third of the power or more in one epoch would outrun light clients.
		return ErrParams.Wrapf("max_change_bps is %d, want 1 to 3333", p.MaxChangeBps)
	case p.MissedWindow < 10 || p.MissedMax < 1 || p.MissedMax > p.MissedWindow:
		return ErrParams.Wrapf("missed_max is %d of missed_window %d, want 1 to the window and a window of at least 10",
			p.MissedMax, p.MissedWindow)
	case p.EvidenceEpochs < 1 || p.EvidenceEpochs > MaxEpochs:
		return ErrParams.Wrapf("evidence_epochs is %d, want 1 to %d", p.EvidenceEpochs, uint64(MaxEpochs))
	case p.JailEpochs < 1 || p.JailEpochs > MaxEpochs:
		return ErrParams.Wrapf("jail_epochs is %d, want 1 to %d", p.JailEpochs, uint64(MaxEpochs))
	}
	return p.Lane.Validate()
}

// Validate checks every bound of the lane.
func (l Lane) Validate() error {
	switch {
	case l.TxBytes < 1<<10 || l.TxBytes > 1<<20:
		return ErrParams.Wrapf("lane tx_bytes is %d, want 1024 to 1048576", l.TxBytes)
	case l.BlockBytes < l.TxBytes || l.BlockBytes > 1<<24:
		return ErrParams.Wrapf("lane block_bytes is %d, want tx_bytes to 16777216", l.BlockBytes)
	case l.TxMessages < 1 || l.TxMessages > 64:
		return ErrParams.Wrapf("lane tx_messages is %d, want 1 to 64", l.TxMessages)
	case l.TxGas < 1_000_000 || l.TxGas > 100_000_000:
		return ErrParams.Wrapf("lane tx_gas is %d, want 1000000 to 100000000", l.TxGas)
	case l.EpochTxs < 1:
		return ErrParams.Wrap("lane epoch_txs is 0, want at least 1")
	case l.StampBits > MaxStampBits:
		return ErrParams.Wrapf("lane stamp_bits is %d, want at most %d", l.StampBits, MaxStampBits)
	}
	return nil
}
