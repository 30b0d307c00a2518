// Package abi is the contract between a guest module and the host: the names
// of the exports a module must have, the table of assay.* host calls, the
// closed enum of trap codes and the version of all of it.
//
// It is a leaf: it imports nothing of this project, and it also builds for
// GOOS=wasip1 so that guests and hosts read the same constants. It must not
// know how a call is carried out; runtime/sandbox does.
//
// Version is consensus state: two nodes that disagree about it would disagree
// about results, so any change to this package that a guest could observe
// increments it.
package abi
