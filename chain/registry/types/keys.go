package types

const (
	// ModuleName names the module, its store and its account, which holds the storage deposits.
	ModuleName = "registry"
	// StoreKey is the name of the module's store.
	StoreKey = ModuleName
)

// Kinds of a blob.
const (
	KindModule = "module"
	KindModel  = "model"
)

// Slots that an activation binds.
const (
	// SlotPow is the proof of work of the sprint.
	SlotPow = "pow"
	// SlotInferPrefix precedes the name of an inference workload.
	SlotInferPrefix = "infer/"
)
