package types

import "cosmossdk.io/collections"

const (
	// ModuleName names the module, its store and its account, which holds the storage deposits.
	ModuleName = "registry"
	// StoreKey is the name of the module's store.
	StoreKey = ModuleName
)

// Prefixes of the store; never reused.
var (
	ParamsPrefix   = collections.NewPrefix(1)
	EpochPrefix    = collections.NewPrefix(2)
	SequencePrefix = collections.NewPrefix(3)
	BlobsPrefix    = collections.NewPrefix(4)
	BlobIDsPrefix  = collections.NewPrefix(5)
	UploadsPrefix  = collections.NewPrefix(6)
	UploadIDs      = collections.NewPrefix(7)
	ChunksPrefix   = collections.NewPrefix(8)
	ActivePrefix   = collections.NewPrefix(9)
	PendingPrefix  = collections.NewPrefix(10)
	PreviousPrefix = collections.NewPrefix(11)
	ExpiryPrefix   = collections.NewPrefix(12)
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

// HashBytes is the size of a SHA-256 digest.
const HashBytes = 32

// Events and their attributes.
const (
	EventStored    = "assay_blob_stored"
	EventActivate  = "assay_activate"
	EventActive    = "assay_active"
	EventRollBack  = "assay_roll_back"
	AttributeHash  = "hash"
	AttributeKind  = "kind"
	AttributeSlot  = "slot"
	AttributeEpoch = "epoch"
)
