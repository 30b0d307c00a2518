package network_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/chain/network"
	"github.com/assaynet/assay/sdk/client"
)

func TestOperatorKeyIsNeverReplaced(t *testing.T) {
	enc, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	first, err := network.LoadKeys(home, enc.Codec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := network.LoadKeys(home, enc.Codec)
	if err != nil || !again.Operator.Equals(first.Operator) {
		t.Fatalf("loaded again: %s, want %s; %v", again.Operator, first.Operator, err)
	}
	file := filepath.Join(home, "keyring-test", network.OperatorKey+".info")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	// A file that cannot be decrypted is an error, and stays as it is.
	if err := os.WriteFile(file, kept[:len(kept)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := network.LoadKeys(home, enc.Codec); err == nil {
		t.Fatalf("a damaged key was replaced by %s", k.Operator)
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(kept[:len(kept)/2]) {
		t.Fatalf("a damaged key was written to: %v", err)
	}

	// One that is missing beside the other keys is named, whichever of them is left.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"node_key.json", "priv_validator_key.json", "vrf_key.json"} {
		other := filepath.Join(home, "config", other)
		k, err := network.LoadKeys(home, enc.Codec)
		if !errors.Is(err, network.ErrOperatorKey) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), other) {
			t.Fatalf("with %s left: %+v, %v", other, k, err)
		}
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("with %s left, a new key was made", other)
		}
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
	}
	fresh, err := network.LoadKeys(home, enc.Codec)
	if err != nil || fresh.Operator.Equals(first.Operator) {
		t.Fatalf("a home without keys: %v", err)
	}
}
