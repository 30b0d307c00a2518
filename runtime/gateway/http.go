package gateway

import (
	"embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"

	"github.com/assaynet/assay/runtime/abi"
)

// page is the node's page with its scripts, which check answers in the browser.
// noble-secp256k1.js is another's, unchanged (MIT, its licence beside it).
//
//go:embed page/*.html page/*.js page/*.LICENSE
var page embed.FS

// pageTypes of what is served of it, by extension: the system's table differs
// from machine to machine, and a browser runs no module of another type.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".LICENSE": "text/plain; charset=utf-8",
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	name := "index.html"
	if file := r.PathValue("file"); file != "" {
		name = file
	}
	b, err := page.ReadFile("page/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", pageTypes[path.Ext(name)])
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // its parts belong together
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(b)
}

// Info is what GET /assay/v1/info answers: enough to build a request.
type Info struct {
	ChainID   string      `json:"chain_id"`
	ABI       int         `json:"abi"`
	Epoch     uint64      `json:"epoch"`
	Miner     string      `json:"miner"` // address bytes, hexadecimal
	PublicKey string      `json:"public_key"`
	Offers    []OfferInfo `json:"offers"`
	Terms     *Terms      `json:"terms,omitempty"` // absent: free
}

// OfferInfo is an Offer with its hashes in hexadecimal.
type OfferInfo struct {
	Offer
	Module string `json:"module"`
	Model  string `json:"model"`
}

func (s *Server) serveInfo(w http.ResponseWriter, _ *http.Request) {
	info := Info{
		ChainID: s.cfg.Network.ChainID(), ABI: abi.Version, Epoch: s.cfg.Network.Epoch(),
		Miner:     hex.EncodeToString(s.cfg.Signer.Address()),
		PublicKey: hex.EncodeToString(s.cfg.Signer.PublicKey()),
		Offers:    []OfferInfo{},
	}
	for _, o := range s.cfg.Engine.Offers() {
		info.Offers = append(info.Offers, OfferInfo{Offer: o, Module: hex.EncodeToString(o.Module[:]), Model: hex.EncodeToString(o.Model[:])})
	}
	if s.cfg.Till != nil {
		terms := s.cfg.Till.Terms()
		info.Terms = &terms
	}
	writeJSON(w, http.StatusOK, info)
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	st, err := s.cfg.Network.Status(r.Context())
	if err != nil {
		s.log.Error("status", "err", err)
		writeError(w, &RefusedError{Code: CodeInternal, Message: "the node did not answer"})
		return
	}
	writeJSON(w, http.StatusOK, st)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// httpStatus of each refusal.
var httpStatus = map[Code]int{
	CodeBadFrame:      http.StatusBadRequest,
	CodeFrameTooLarge: http.StatusRequestEntityTooLarge,
	CodeBadRequest:    http.StatusBadRequest,
	CodePromptTooLong: http.StatusRequestEntityTooLarge,
	CodeUnknownModel:  http.StatusNotFound,
	CodePayment:       http.StatusPaymentRequired,
	CodeBusy:          http.StatusServiceUnavailable,
	CodeTooSlow:       http.StatusRequestTimeout,
	CodeInternal:      http.StatusInternalServerError,
}

// writeError answers in the form that OpenAI clients understand.
func writeError(w http.ResponseWriter, r *RefusedError) {
	status, ok := httpStatus[r.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	writeErrorAs(w, status, r)
}

// writeErrorAs is writeError with a status of the caller's. Who is refused for
// want of a place is told when to come again.
func writeErrorAs(w http.ResponseWriter, status int, r *RefusedError) {
	if r.Code == CodeBusy {
		w.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": r.Message, "type": "invalid_request_error", "code": r.Code}})
}
