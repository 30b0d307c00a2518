// Package keeper is the state machine of the audit: it takes verdicts, demands, answers and
// reports while an epoch's claims are fixed, has reported units re-executed, and tells the sprint
// to draw again or to settle.
//
// No verdict rejects a claim. Only a unit proven false, a demand left unanswered or a false
// verdict of the claimant's own voids one. The package must not know how a unit is re-executed.
package keeper
