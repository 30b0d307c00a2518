// Package registry is the x-module for code and models: their upload, their activation by
// governance and the return to the last good one.
package registry
