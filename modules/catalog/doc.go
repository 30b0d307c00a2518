// Package catalog carries the modules and the small model that ship with
// Assay: their bytes, embedded, and their manifests. modules/build.sh writes
// every file it embeds; a test rebuilds them and compares.
//
// It must not know how a module is run. A node needs nothing from here except
// at genesis: whatever the chain runs later is uploaded like anybody's code.
package catalog
