// Package auditor is the background service of a validator: it follows the
// audit of each epoch, draws its sample of every claim with its own VRF,
// fetches the openings from the miners, re-executes the units, reports false
// ones with their openings, demands on chain what was not served, and sends
// one verdict a round.
//
// It never blocks consensus: it runs beside the node and talks to it through
// the narrow Chain interface it declares. It must not know the Cosmos SDK. A
// failure of this machine is never a verdict about somebody's work.
package auditor
