package types

const (
	// ModuleName names the module and its store.
	ModuleName = "power"
	// StoreKey is the name of the module's store.
	StoreKey = ModuleName
)
