package adversary

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	auditkeeper "github.com/assaynet/assay/chain/audit/keeper"
	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/verifier/sample"
)

// fold is the units of a leaf; half of the default, so that claims may be small.
const fold = 32

// Member is a participant of a world: how much it can compute, and how it behaves.
type Member struct {
	// Folds it can compute from the epoch's opening to the last block that takes claims.
	Folds int
	// Strategy decides for it; nil is Honest.
	Strategy Strategy
	// Device computes its units; nil is the native device.
	Device device.Device
}

// Player is a participant at work.
type Player struct {
	Member
	Index int
	World *World

	addr    sdk.AccAddress
	name    string
	secret  *sample.SecretKey
	cons    ed25519.PrivateKey
	own     *engine // of its own device, nil for the world's
	claim   *Claim
	round   *inspection
	epoch   uint64 // for which claim is
	started math.Int

	// In units, since the world began: mined, re-executed for the audit, and paid to others for.
	mined, audited, bought float64
	// Epochs in which the claim was void, and those in which the player was jailed.
	void, jailed int
	// punished counts forfeits and jailings.
	punished int
}

// World is one network.
type World struct {
	*ground
	players []*Player
	engine  *engine
	random  *rand.Rand
	pool    []*Message
	commits []*Message // of the running epoch, for who is asked when it saw them
	misdeed evidence   // for the next block

	sprintMsgs  sprinttypes.MsgServer
	auditMsgs   audittypes.MsgServer
	auditQuery  audittypes.QueryServer
	sprintQuery sprinttypes.QueryServer

	settled uint64 // newest epoch that was accounted for
	// refusals counts messages that the chain refused, by error.
	refusals map[string]int
}

// sprintParams are the defaults with phases as short as the messages of a small network allow.
func sprintParams(units uint64, members int) sprinttypes.Params {
	p := sprinttypes.DefaultParams()
	// 25 blocks: six proposers in turn make the last block before the deadline equally often.
	p.EpochBlocks, p.ComputeBlocks, p.CommitBlocks, p.GraceBlocks, p.AuditBlocks = 25, 3, 6, 6, 10
	p.RetainEpochs = 2
	p.Fold = fold
	p.HalvingEpochs = 365 // a longer one would cost a tenth of the time, in one root of big integers
	// What those who audit get of the fees covers a claim's audit where a unit costs as much as it earns.
	draw := sample.Total(units, p.SampleMin, p.SampleMax)
	audit := p.EmissionPerEpoch / uint64(members) * uint64(draw) / units
	p.ClaimFee = audit / (sprinttypes.BasisPoints - uint64(p.InclusionBps)) * sprinttypes.BasisPoints
	return p
}

// NewWorld starts a network of the members, whose genesis powers are their folds. The salt decides
// keys, block hashes and everything that is random. Without crossCheck verdicts are not cross-checked,
// which halves the pairings.
func NewWorld(ctx context.Context, lab *Lab, module string, salt uint64, crossCheck bool, members []Member) (*World, error) {
	return newWorld(ctx, lab, module, salt, crossCheck, nil, members)
}

// newWorld is NewWorld with other parameters, unless change is nil.
func newWorld(ctx context.Context, lab *Lab, module string, salt uint64, crossCheck bool, change func(*sprinttypes.Params, *audittypes.Params), members []Member) (*World, error) {
	root := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("assay/adversary/1"), salt))
	w := &World{random: rand.New(rand.NewChaCha8(root)), refusals: make(map[string]int)}
	var err error
	if w.engine, err = lab.engine(ctx, module, nil); err != nil {
		return nil, err
	}
	if w.ground, err = newGround(w.engine, w.engine, root); err != nil {
		return nil, err
	}
	w.sprintMsgs, w.auditMsgs = sprintkeeper.NewMsgServer(w.sprint), auditkeeper.NewMsgServer(w.audit)
	w.sprintQuery, w.auditQuery = sprintkeeper.NewQueryServer(w.sprint), auditkeeper.NewQueryServer(w.audit)

	pg := powertypes.DefaultGenesis()
	keys := rand.NewChaCha8(root)
	for i, m := range members {
		p := &Player{Member: m, Index: i, World: w}
		if p.Strategy == nil {
			p.Strategy = Honest{}
		}
		if m.Device != nil {
			if p.own, err = lab.engine(ctx, module, m.Device); err != nil {
				return nil, err
			}
		}
		p.addr = make([]byte, 20)
		binary.BigEndian.PutUint32(p.addr, uint32(i+1))
		if p.name, err = w.addresses.BytesToString(p.addr); err != nil {
			return nil, err
		}
		var seed [ed25519.SeedSize]byte
		_, _ = keys.Read(seed[:]) // never fails
		p.cons = ed25519.NewKeyFromSeed(seed[:])
		if p.secret, err = sample.GenerateKey(keys); err != nil {
			return nil, err
		}
		w.players = append(w.players, p)
		pg.Miners = append(pg.Miners, powertypes.Miner{
			Operator: p.name, ConsPubkey: p.cons.Public().(ed25519.PublicKey),
			VrfKeys:   []powertypes.VRFKey{{Pubkey: p.secret.Public().Bytes()}},
			Validator: true, GenesisPower: uint64(m.Folds),
		})
		if err := w.fund(p.addr, 1000*1_000_000_000); err != nil {
			return nil, err
		}
		p.started = w.bank.GetBalance(w.ctx, p.addr, params.BaseDenom).Amount
	}
	validators, err := w.power.InitGenesis(w.ctx, *pg)
	if err != nil {
		return nil, err
	}
	// Networks of the same salt begin at the same point of the proposers' turns, whatever is random in them.
	if w.rotation, err = newRotation(validators, int32(binary.LittleEndian.Uint16(root[:]))); err != nil {
		return nil, err
	}
	if err := w.power.BeginTurns(w.ctx, 1, w.rotation.now); err != nil {
		return nil, err
	}
	sg, ag := sprinttypes.DefaultGenesis(), audittypes.DefaultGenesis()
	sg.Params = sprintParams(uint64(members[0].Folds)*fold, len(members))
	ag.Params.Challenges = 0
	if crossCheck {
		ag.Params.Challenges = audittypes.ProductionParams().Challenges
	}
	if change != nil {
		change(&sg.Params, &ag.Params)
	}
	if err := w.sprint.InitGenesis(w.ctx, *sg); err != nil {
		return nil, err
	}
	if err := w.audit.InitGenesis(w.ctx, *ag); err != nil {
		return nil, err
	}
	return w, w.next()
}

// Close frees the world's instances.
func (w *World) Close() error {
	err := w.engine.close()
	for _, p := range w.players {
		if p.own != nil {
			if e := p.own.close(); err == nil {
				err = e
			}
		}
	}
	return err
}

// Epoch runs until the running epoch is over.
func (w *World) Epoch() error {
	e, err := w.sprint.Epoch(w.ctx)
	if err != nil {
		return err
	}
	w.commits = nil
	for number := e.Number; e.Number == number; {
		if err := w.block(e); err != nil {
			return fmt.Errorf("epoch %d, height %d: %w", e.Number, w.ctx.BlockHeight(), err)
		}
		if e, err = w.sprint.Epoch(w.ctx); err != nil {
			return err
		}
		if w.ctx.BlockHeight() > e.StartHeight+500 {
			return fmt.Errorf("epoch %d does not end: %s after 500 blocks", e.Number, e.Phase)
		}
	}
	return nil
}

// block lets everybody act on the state that they see, then makes one block.
func (w *World) block(e sprinttypes.Epoch) error {
	if err := w.power.BeginBlock(w.ctx.WithCometInfo(w.misdeed)); err != nil {
		return err
	}
	w.misdeed = nil
	for _, p := range w.players {
		if err := p.act(e); err != nil {
			return fmt.Errorf("player %d: %w", p.Index, err)
		}
	}
	proposer := w.playerOfKey(w.ctx.BlockHeader().ProposerAddress)
	if proposer == nil {
		return fmt.Errorf("nobody has the key %X", w.ctx.BlockHeader().ProposerAddress)
	}
	taken := proposer.Strategy.Select(proposer, w.pool)
	var proofs []sdk.Msg
	for _, m := range taken {
		if m.proof != nil {
			proofs = append(proofs, m.proof)
		}
	}
	if err := w.audit.CheckProofs(w.ctx, proofs); err != nil {
		return err
	}
	done := make(map[*Message]bool, len(taken))
	for _, m := range taken {
		done[m] = true
		if err := w.try(m.run); err != nil {
			w.refusals[m.Kind.String()+": "+err.Error()]++
		}
	}
	var left []*Message
	for _, m := range w.pool {
		if !done[m] {
			left = append(left, m)
		}
	}
	w.pool = left
	return w.next()
}

// next ends the block, accounts for an epoch that was settled, and begins the next one.
func (w *World) next() error {
	if err := w.end(); err != nil {
		return err
	}
	if err := w.sprint.CheckInvariants(w.ctx); err != nil {
		return err
	}
	if err := w.account(); err != nil {
		return err
	}
	w.begin(w.ctx.BlockHeight() + 1)
	return nil
}

// account notes, once an epoch is settled, what became of the claims.
func (w *World) account() error {
	e, err := w.sprint.Epoch(w.ctx)
	if err != nil {
		return err
	}
	if e.Phase != sprinttypes.PHASE_DONE || e.Number == w.settled {
		return nil
	}
	w.settled = e.Number
	for _, p := range w.players {
		barred, err := p.barred()
		if err != nil {
			return err
		}
		if barred {
			p.jailed++
		}
	}
	return w.sprint.WalkClaims(w.ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		p := w.playerOf(miner)
		if c.Void() {
			p.void++
		}
		if barred, err := p.barred(); err != nil {
			return true, err
		} else if barred {
			p.punished++ // it could claim when the epoch began
		}
		return false, nil
	})
}

// playerOfKey is who has the consensus key with that address, nil for nobody.
func (w *World) playerOfKey(address []byte) *Player {
	for _, p := range w.players {
		if bytes.Equal(cmted25519.PubKey(p.cons.Public().(ed25519.PublicKey)).Address(), address) {
			return p
		}
	}
	return nil
}

func (w *World) playerOf(addr []byte) *Player {
	for _, p := range w.players {
		if bytes.Equal(p.addr, addr) {
			return p
		}
	}
	return nil
}

func (w *World) playerNamed(name string) *Player {
	for _, p := range w.players {
		if p.name == name {
			return p
		}
	}
	return nil
}

// barred says whether the player may neither claim nor vote now.
func (p *Player) barred() (bool, error) {
	m, err := p.World.power.Miner(p.World.ctx, p.addr)
	if err != nil {
		return false, err
	}
	e, err := p.World.power.Epoch(p.World.ctx)
	return m.Barred(e), err
}

// barredFor says whether the player is barred now and in as many epochs as that, this one included.
func (p *Player) barredFor(epochs int) (bool, error) {
	m, err := p.World.power.Miner(p.World.ctx, p.addr)
	if err != nil {
		return false, err
	}
	e, err := p.World.power.Epoch(p.World.ctx)
	return m.Barred(e + uint64(epochs) - 1), err
}

// share is the player's part of the power frozen for the running epoch.
func (p *Player) share() (float64, error) {
	e, err := p.World.power.Epoch(p.World.ctx)
	if err != nil {
		return 0, err
	}
	set, err := p.World.power.Frozen(p.World.ctx, e)
	if err != nil {
		return 0, err
	}
	for _, v := range set.Validators {
		if v.Operator == p.name {
			return float64(v.Power) / float64(set.Total), nil
		}
	}
	return 0, nil
}

// income is what the player got and holds more than it began with, vesting included, in ngnk.
func (p *Player) income() (float64, error) {
	v, err := p.World.sprintQuery.Vesting(p.World.ctx, &sprinttypes.QueryVestingRequest{Owner: p.name})
	held := math.ZeroInt()
	if err == nil {
		held = v.Held
	}
	have := p.World.bank.GetBalance(p.World.ctx, p.addr, params.BaseDenom).Amount
	f, _ := math.LegacyNewDecFromInt(have.Add(held).Sub(p.started)).Float64()
	return f, nil
}
