package adversary

import (
	"encoding/json"
	"fmt"
	"io"
)

// Table prints rows for people.
func Table(w io.Writer, rows []Row) error {
	if _, err := fmt.Fprintf(w, "%-36s %6s %7s %20s %8s %7s %7s %8s %12s\n", "strategy", "power", "epochs",
		"gain, % of honest", "pays at", "void", "jailed", "others", "honest hurt"); err != nil {
		return err
	}
	for _, r := range rows {
		pays := "never"
		if r.Pays != nil {
			pays = fmt.Sprintf("%.2f", *r.Pays)
		}
		if _, err := fmt.Fprintf(w, "%-36s %5.1f%% %7d %10.3f ± %7.3f %8s %6.1f%% %6.1f%% %+7.2f%% %5d / %4d\n",
			r.Name, 100*r.Power, r.Epochs, r.Gain, r.Interval, pays, r.Void, r.Jailed, r.Others, r.HonestVoid, r.HonestPunished); err != nil {
			return err
		}
	}
	return nil
}

// JSON prints rows for programs.
func JSON(w io.Writer, plan Plan, rows []Row) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Seed       uint64  `json:"seed"`
		Replicates int     `json:"replicates"`
		Epochs     int     `json:"epochs"`
		Cost       float64 `json:"cost"`
		Rows       []Row   `json:"rows"`
	}{plan.Seed, plan.Replicates, plan.Epochs, plan.Cost, rows})
}
