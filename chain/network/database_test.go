package network_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/assaynet/assay/chain/network"
)

// A new home's state is kept by Pebble; one whose app.toml names no database, by what config.toml says.
func TestOpenState(t *testing.T) {
	for _, c := range []struct {
		name, line, file string
	}{
		{"a new home", `app-db-backend = "pebbledb"`, "OPTIONS-*"},
		{"an older one", `app-db-backend = ""`, "LOG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			if err := network.WriteConfig(home, network.Settings{Moniker: "m", ChainID: "c", Addresses: network.Addresses{P2P: "127.0.0.1:1"}}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(home, "config", "app.toml")
			app, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			app = regexp.MustCompile(`(?m)^app-db-backend = .*$`).ReplaceAll(app, []byte(c.line))
			if err := os.WriteFile(path, app, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := network.OpenState(home)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.SetSync([]byte("key"), []byte("value")); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if found, err := filepath.Glob(filepath.Join(home, "data", "application.db", c.file)); err != nil || len(found) == 0 {
				t.Errorf("no %s in the database: %v, %v", c.file, found, err)
			}
		})
	}
}
