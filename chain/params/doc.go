// Package params fixes the names that every part of the chain shares: the address prefix
// and the denominations. It is a leaf; clients import it too.
package params
