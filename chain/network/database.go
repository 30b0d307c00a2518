package network

import (
	"fmt"
	"path/filepath"

	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/server"
)

// OpenState opens the database with the state of a stopped node, in the format that app.toml names
// (app-db-backend). The caller closes it.
func OpenState(home string) (dbm.DB, error) {
	conf, err := readFiles(home)
	if err != nil {
		return nil, err
	}
	return conf.openState(home)
}

func (f *files) openState(home string) (dbm.DB, error) {
	db, err := dbm.NewDB("application", server.GetAppDBBackend(f.viper), filepath.Join(home, "data"))
	if err != nil {
		return nil, fmt.Errorf("network: open state: %w", err)
	}
	return db, nil
}
