package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// console prints a run to a person: lines that stay, and below them one live
// line that is redrawn in place. When the output is not a terminal the live
// line is left out. It is safe for concurrent use.
type console struct {
	mu    sync.Mutex
	out   io.Writer
	tty   bool
	width int
	start time.Time
	live  string
}

func newConsole(f *os.File) *console {
	c := &console{out: f, start: time.Now(), width: 100}
	if term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		c.tty = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			c.width = w
		}
	}
	return c
}

// Styles; empty when not a terminal.
func (c *console) style(code, s string) string {
	if !c.tty {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (c *console) bold(s string) string  { return c.style("1", s) }
func (c *console) green(s string) string { return c.style("32", s) }
func (c *console) red(s string) string   { return c.style("31", s) }
func (c *console) dim(s string) string   { return c.style("2", s) }

// Printf prints a line that stays.
func (c *console) Printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	fmt.Fprintf(c.out, format+"\n", args...)
	c.draw()
}

// Aside prints a line on standard error without disturbing the live line.
func (c *console) Aside(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	fmt.Fprintln(os.Stderr, line)
	c.draw()
}

// Stamp is the time since the run began, as m:ss.
func (c *console) Stamp() string {
	d := time.Since(c.start)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// Live replaces the live line; the empty string removes it.
func (c *console) Live(format string, args ...any) {
	if !c.tty {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erase()
	c.live = ""
	if format != "" {
		c.live = clip(fmt.Sprintf(format, args...), c.width-1)
	}
	c.draw()
}

func (c *console) erase() {
	if c.tty && c.live != "" {
		fmt.Fprint(c.out, "\r\x1b[K")
	}
}

func (c *console) draw() {
	if c.tty && c.live != "" {
		fmt.Fprint(c.out, c.live)
	}
}

// clip cuts s to n characters so that the live line never wraps.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// bar draws done of total in width cells.
func bar(done, total int64, width int) string {
	if total <= 0 {
		total = 1
	}
	n := int(done * int64(width) / total)
	n = max(0, min(width, n))
	return "[" + strings.Repeat("█", n) + strings.Repeat("·", width-n) + "]"
}

// table prints rows under a head, columns aligned, numbers to the right.
func (c *console) table(head []string, rows [][]string) {
	w := make([]int, len(head))
	for _, r := range append([][]string{head}, rows...) {
		for i, s := range r {
			w[i] = max(w[i], utf8.RuneCountInString(s))
		}
	}
	line := func(r []string) string {
		var b strings.Builder
		b.WriteString("      ")
		for i, s := range r {
			pad := strings.Repeat(" ", w[i]-utf8.RuneCountInString(s))
			if i == 0 {
				b.WriteString(s + pad)
			} else {
				b.WriteString("  " + pad + s)
			}
		}
		return b.String()
	}
	c.Printf("%s", c.dim(line(head)))
	for _, r := range rows {
		c.Printf("%s", line(r))
	}
}
