package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/chain/params"
)

const (
	exampleAddress = "assay1r5xyz2ml6fnjwqcw0z6edu25e0qy33wftqx89g"
	exampleHash    = "3FD2C1B5A0E7DC3A2E6B6B2C9D1C4F6F1D2B7C8A9E0F1A2B3C4D5E6F708192A3"
	exampleFees    = " --from client --gas 600000 --fees 600" + params.BaseDenom
)

// exampleArguments are values for what usages of generated commands put in brackets.
var exampleArguments = map[string]string{
	"epoch": "3", "round": "0", "index": "17", "count": "4096", "demand": "1", "position": "0", "channel": "1", "id": "1", "height": "100",
	"amount": "1000000" + params.BaseDenom, "deposit": "1000000" + params.BaseDenom, "denom": params.BaseDenom, "denom1 ...": params.BaseDenom,
	"hash": exampleHash, "root": exampleHash, "acc-num": "0", "proposal-id": "1", "option": "yes", "weighted-options": "yes=0.6,no=0.4",
	"operator": exampleAddress, "miner": exampleAddress, "claimant": exampleAddress, "validator": exampleAddress, "owner": exampleAddress, "voter-addr": exampleAddress,
	"creator": exampleAddress, "address": exampleAddress, "grantee": exampleAddress, "granter": exampleAddress, "grantee-addr": exampleAddress,
	"granter-addr": exampleAddress, "depositor-addr": exampleAddress, "address-string": exampleAddress, "to_address": exampleAddress,
	"from_key_or_address": "client", "granter_key_or_address": "client", "address-bytes": "1D0C4159BFD267270338EA2CCB7155320F08C5C9",
	"msg-type-url": "/assay.sprint.v1.MsgCommitWork", "upgrade-name": "v2", "optional module_name": "sprint", "name": "operator", "file": "tx.json",
	"file_path": "signed.json", "path/to/proposal.json": "proposal.json", "tx-json-file": "tx.json", "protobuf-byte-string": "CpIB",
	"vrf-proof": "BASE64", "bitmap": "BASE64", "keyed-root": "BASE64", "signature": "BASE64", "openings...": `'{"index":17,"opening":"BASE64"}'`,
	"indexes...": "17 4095", "flags": "",
}

// examples are of commands whose usage does not say enough.
var examples = map[string]string{
	"keys add":                          "assay keys add researcher\nassay keys add researcher --recover",
	"keys delete":                       "assay keys delete researcher --yes",
	"keys export":                       "assay keys export researcher > researcher.armor",
	"keys import":                       "assay keys import researcher researcher.armor",
	"keys import-hex":                   "assay keys import-hex researcher",
	"keys parse":                        "assay keys parse " + exampleAddress,
	"keys rename":                       "assay keys rename researcher alice",
	"keys show":                         "assay keys show operator\nassay keys show operator --address",
	"query block":                       "assay query block --type=height 100\nassay query block --type=hash " + exampleHash,
	"query blocks":                      `assay query blocks --query "block.height > 7" --limit 10`,
	"query tx":                          "assay query tx " + exampleHash + "\nassay query tx --type=acc_seq " + exampleAddress + "/5",
	"query txs":                         `assay query txs --query "message.sender='` + exampleAddress + `'" --limit 10`,
	"query wait-tx":                     "assay query wait-tx " + exampleHash,
	"query authz grants":                "assay query authz grants " + exampleAddress + " " + exampleAddress,
	"tx audit answer":                   "assay tx audit answer 1" + exampleFees,
	"tx audit open-keyed":               "assay tx audit open-keyed 3 0" + exampleFees,
	"tx authz grant":                    "assay tx authz grant " + exampleAddress + " generic --msg-type=/assay.sprint.v1.MsgCommitWork" + exampleFees,
	"tx authz revoke":                   "assay tx authz revoke " + exampleAddress + " /assay.sprint.v1.MsgCommitWork" + exampleFees,
	"tx bank multi-send":                "assay tx bank multi-send client " + exampleAddress + " " + exampleAddress + " 1000" + params.BaseDenom + exampleFees,
	"tx bank set-send-enabled-proposal": `assay tx bank set-send-enabled-proposal '{"denom":"` + params.BaseDenom + `","enabled":true}' --title open --summary "for all" --deposit 1000000` + params.BaseDenom + exampleFees,
	"tx consensus update-params-proposal": `assay tx consensus update-params-proposal '{"max_bytes":"4194304","max_gas":"110000000"}' ` +
		`'{"max_age_num_blocks":"288000","max_age_duration":"1728000s","max_bytes":"1048576"}' '{"pub_key_types":["ed25519"]}' '{}' ` +
		`--title gas --summary "larger blocks" --deposit 1000000` + params.BaseDenom + exampleFees,
	"tx encode":                          "assay tx encode tx.json",
	"tx multi-sign":                      "assay tx multi-sign tx.json committee alice.sig bob.sig > signed.json",
	"tx sign":                            "assay tx sign tx.json --from client > signed.json",
	"tx sign-batch":                      "assay tx sign-batch txs.json --from client > signed.json",
	"tx simulate":                        "assay tx simulate tx.json --from client",
	"tx upgrade cancel-software-upgrade": "assay tx upgrade cancel-software-upgrade --title cancel --summary \"not yet\" --deposit 1000000" + params.BaseDenom + exampleFees,
	"tx upgrade software-upgrade":        "assay tx upgrade software-upgrade v2 --upgrade-height 100000 --title v2 --summary \"what it brings\" --deposit 1000000" + params.BaseDenom + exampleFees,
	"tx validate-signatures":             "assay tx validate-signatures signed.json",
}

var placeholder = regexp.MustCompile(`\[([^\[\]]+)\]|<([^<>]+)>`)

// addExamples gives commands that the SDK brings or makes from services an example, in this chain's names.
func addExamples(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		addExamples(c)
	}
	if !cmd.Runnable() || cmd.HasSubCommands() {
		return
	}
	path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	if e, ok := examples[path]; ok {
		cmd.Example = "  " + strings.ReplaceAll(e, "\n", "\n  ")
		return
	}
	if cmd.Example != "" && !strings.Contains(cmd.Example, "cosmos1") && !strings.ContainsAny(cmd.Example, "<[$") {
		return
	}
	use := placeholder.ReplaceAllStringFunc(strings.TrimPrefix(cmd.Use, cmd.Name()), func(p string) string {
		if v, ok := exampleArguments[p[1:len(p)-1]]; ok {
			return v
		}
		return p // the test of examples finds it
	})
	cmd.Example = strings.TrimRight("  assay "+path+use, " ")
	if strings.HasPrefix(path, "tx ") && cmd.Flags().Lookup("from") != nil {
		cmd.Example += exampleFees
	}
}
