package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/auditor"
)

// TestMetrics: what happens to a miner can be read from its metrics, and a
// unit, block or answer counts once.
func TestMetrics(t *testing.T) {
	m := newMetrics()
	m.audits(func() auditor.Stats { return auditor.Stats{Units: 300, Crossed: 7} })
	for _, e := range []miner.Event{
		{Kind: miner.EventEpoch, Epoch: 4, Units: 10}, // of an earlier run
		{Kind: miner.EventUnits, Epoch: 4, Units: 30},
		{Kind: miner.EventUnits, Epoch: 4, Units: 50},
		{Kind: miner.EventEpoch, Epoch: 5},
		{Kind: miner.EventUnits, Epoch: 5, Units: 5},
	} {
		m.mining(e)
	}
	for _, e := range []event{
		{Event: evBlock, Height: 77, Epoch: 5},
		{Event: evCommitted, Units: 40},
		{Event: evServed, Units: 12}, {Event: evServed, Units: 3},
		{Event: evSettled, reward: 1.5}, {Event: evSettled},
		{Event: evError, Error: "no node"},
	} {
		m.told(e)
	}
	m.answered(gateway.Answer{Result: gateway.Result{Tokens: 9}, Took: time.Second})
	m.answered(gateway.Answer{Err: errors.New("device")})
	m.failed(failover.Event{Kind: failover.Restarted})

	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := "\n" + w.Body.String()
	for _, want := range []string{
		"assay_chain_height 77", "assay_chain_epoch 5",
		"assay_miner_units_total 45", "assay_miner_claimed_units 40", "assay_miner_commitments_total 1",
		"assay_miner_opened_units_total 15", "assay_miner_reward_gnk_total 1.5",
		"assay_miner_epochs_settled_total 2", "assay_miner_epochs_unpaid_total 1", "assay_errors_total 1",
		`assay_inference_requests_total{outcome="answered"} 1`, `assay_inference_requests_total{outcome="failed"} 1`,
		"assay_inference_tokens_total 9", "assay_inference_request_seconds_count 2",
		`assay_device_events_total{outcome="restarted"} 1`,
		"assay_audit_units_total 300", "assay_audit_crossed_units_total 7",
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %q", want)
		}
	}
}
