package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
)

// Server answers clients. It is an http.Handler, safe for concurrent use.
type Server struct {
	cfg Config
	log *slog.Logger
	mux *http.ServeMux

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	runs  map[[32]byte]*run // by request hash
	conns int
	who   clients
	calls chan struct{} // a token for each completion under way
	slots chan struct{} // a token for each run at work
	queue chan struct{} // a token for each run at work or waiting
}

// New makes a server. Close it to end its runs.
func New(cfg Config, log *slog.Logger) (*Server, error) {
	if cfg.Engine == nil || cfg.Signer == nil || cfg.Network == nil {
		return nil, errors.New("gateway: Engine, Signer and Network are required")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: log, mux: http.NewServeMux(),
		runs:  make(map[[32]byte]*run),
		calls: make(chan struct{}, cfg.Limits.Connections),
		slots: make(chan struct{}, cfg.Limits.Runs),
		queue: make(chan struct{}, cfg.Limits.Runs+cfg.Limits.Waiting),
	}
	s.who.most = cfg.Limits.ClientConnections
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.mux.HandleFunc("GET /assay/v1/stream", s.serveStream)
	s.mux.HandleFunc("GET /assay/v1/info", s.serveInfo)
	s.mux.HandleFunc("GET /assay/v1/status", s.serveStatus)
	s.mux.HandleFunc("GET /v1/models", s.serveModels)
	s.mux.HandleFunc("POST /v1/completions", s.serveCompletions)
	s.mux.HandleFunc("GET /{$}", s.servePage)
	s.mux.HandleFunc("GET /page/{file}", s.servePage)
	if cfg.Openings != nil {
		s.mux.Handle("POST /assay/v1/openings", cfg.Openings)
	}
	return s, nil
}

// ServeHTTP dispatches by path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(newPaced(w, s.cfg.Limits), r)
}

// Close ends all runs and waits for them.
func (s *Server) Close() error {
	s.mu.Lock() // no run or connection begins after this
	s.stop()
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// offer finds who can answer a request and checks it against the offer.
func (s *Server) offer(req commit.Request) (Offer, error) {
	for _, o := range s.cfg.Engine.Offers() {
		if o.Module != req.Module || o.Model != req.Model {
			continue
		}
		if uint32(len(req.Prompt)) > o.MaxPrompt {
			return Offer{}, Refuse(CodePromptTooLong, "prompt of %d bytes; %s takes at most %d", len(req.Prompt), o.Name, o.MaxPrompt)
		}
		if req.MaxTokens > o.MaxTokens {
			return Offer{}, Refuse(CodeBadRequest, "%d tokens wanted; %s gives at most %d", req.MaxTokens, o.Name, o.MaxTokens)
		}
		return o, nil
	}
	return Offer{}, Refuse(CodeUnknownModel, "no model served here has module %x and model %x; see /assay/v1/info", req.Module[:4], req.Model[:4])
}

// follow returns the run that answers req, starting it unless it is under way
// or has just ended: the same request has the same answer, so one run serves
// everybody who asks it. Call release when done following.
func (s *Server) follow(req commit.Request) (*run, error) {
	hash := req.Hash()
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.runs[hash]; ok {
		r.followers++
		return r, nil
	}
	if err := s.ctx.Err(); err != nil {
		return nil, Refuse(CodeBusy, "the miner is shutting down")
	}
	select {
	case s.queue <- struct{}{}:
	default:
		return nil, Refuse(CodeBusy, "%d requests are being answered or waiting; try again later", cap(s.queue))
	}
	ctx, cancel := context.WithCancel(s.ctx)
	r := newRun(cancel)
	r.followers = 1
	s.runs[hash] = r
	s.wg.Add(1)
	go s.work(ctx, hash, req, r)
	return r, nil
}

// release ends one follower's interest. A run that nobody follows goes on, so
// that its client can come back for it; it is dropped Limits.Keep after its end.
func (s *Server) release(r *run) {
	s.mu.Lock()
	r.followers--
	last := r.gone && r.followers == 0
	s.mu.Unlock()
	if last {
		r.forget()
	}
}

// work carries a run out in its turn and forgets it after Limits.Keep.
func (s *Server) work(ctx context.Context, hash [32]byte, req commit.Request, r *run) {
	defer s.wg.Done()
	defer r.cancel()
	s.perform(ctx, hash, req, r)
	<-s.queue
	// A host's failure is nobody's answer: who asks again is given a new run.
	if _, err := r.outcome(); err == nil {
		s.charge(req, r)
		t := time.NewTimer(s.cfg.Limits.Keep)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.ctx.Done():
		}
	}
	s.mu.Lock()
	delete(s.runs, hash)
	r.gone = true
	close(r.expired)
	last := r.followers == 0
	s.mu.Unlock()
	if last { // otherwise the last follower's release does it
		r.forget()
	}
}

func (s *Server) perform(ctx context.Context, hash [32]byte, req commit.Request, r *run) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		r.finish(Result{}, Refuse(CodeBusy, "the miner is shutting down"))
		return
	}
	began := time.Now()
	digest := commit.NewOutput(hash)
	var n uint32
	res, err := s.cfg.Engine.Run(ctx, req, func(token uint32, text []byte) bool {
		sum := digest.Add(token, text)
		r.push(Token{Seq: n, ID: token, Text: append([]byte(nil), text...), Digest: sum})
		n++
		return ctx.Err() != nil
	})
	if err == nil && ctx.Err() != nil {
		err = Refuse(CodeBusy, "the miner is shutting down")
	}
	if err != nil {
		s.log.Error("run failed", "err", err)
	} else if res.Trap == abi.TrapInvalid || res.Tokens != n {
		err = errors.New("gateway: engine returned an inconsistent result")
	}
	res.Output = digest.Sum()
	r.finish(res, err)
	if s.cfg.Answered != nil {
		s.cfg.Answered(Answer{Result: res, Took: time.Since(began), Err: err})
	}
}

// receipt of a finished run for one channel; 0: nobody pays. It is made once:
// whoever comes back gets the same one, and is charged once.
func (s *Server) receipt(req commit.Request, r *run, channel uint64) (signed, error) {
	r.pay.Lock()
	defer r.pay.Unlock()
	if done, ok := r.receipts[channel]; ok {
		return done, nil
	}
	res, err := r.outcome()
	if err != nil {
		return signed{}, err
	}
	rc := commit.Receipt{
		ChainID: s.cfg.Network.ChainID(), Channel: channel, Miner: s.cfg.Signer.Address(),
		Epoch: s.cfg.Network.Epoch(), Request: req.Hash(), Module: req.Module, Model: req.Model,
		Output: res.Output, Trap: uint8(res.Trap), PromptTokens: res.PromptTokens,
		Tokens: res.Tokens, Gas: res.Gas,
	}
	bill := r.bills[channel]
	if bill != nil {
		rc.Epoch, rc.Price = bill.Epoch(), bill.Price(res)
	}
	if err := rc.Validate(); err != nil {
		return signed{}, err
	}
	out := signed{receipt: rc}
	if out.signature, err = s.cfg.Signer.Sign(rc.Bytes()); err != nil {
		return signed{}, fmt.Errorf("gateway: sign receipt: %w", err)
	}
	if bill != nil {
		if err := bill.Charge(rc); err != nil {
			return signed{}, fmt.Errorf("gateway: charge channel %d: %w", channel, err)
		}
	}
	r.receipts[channel] = out
	return out, nil
}

// admit takes payment for a request and follows its run. What was held for a
// request that is refused is let go. The channel is 0 where serving is free.
func (s *Server) admit(ctx context.Context, req commit.Request, p *Payment) (*run, uint64, error) {
	if s.cfg.Till == nil {
		r, err := s.follow(req)
		return r, 0, err
	}
	bill, err := s.cfg.Till.Accept(ctx, req, p)
	if err != nil {
		return nil, 0, err
	}
	r, err := s.follow(req)
	if err != nil {
		bill.Release()
		return nil, 0, err
	}
	channel := bill.Channel()
	r.attach(bill)
	if r.ended() {
		s.charge(req, r)
	}
	return r, channel, nil
}

// charge makes the receipts of all who owe for a finished run, so that a client
// that leaves before the end has paid for what it was given.
func (s *Server) charge(req commit.Request, r *run) {
	for _, channel := range r.channels() {
		if _, err := s.receipt(req, r, channel); err != nil {
			s.log.Error("receipt", "channel", channel, "err", err)
		}
	}
}
