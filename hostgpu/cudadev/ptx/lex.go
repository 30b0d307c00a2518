package ptx

import (
	"fmt"
	"strconv"
)

// A token of PTX (PTX ISA: Syntax). Words that begin with a dot are directives
// and modifiers; "::" may be part of them.
type token struct {
	kind tokenKind
	text string
	num  uint64
	line int
}

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokIdent            // mov, %r1, $L__BB0_1, _
	tokDot              // .u32, .shared::cta; text has no dot
	tokNumber           // num
	tokString           // text without quotes
	tokPunct            // text is one character
)

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of text"
	case tokDot:
		return "." + t.text
	case tokString:
		return strconv.Quote(t.text)
	}
	return t.text
}

// maxText bounds what Parse takes, in bytes; the largest shipped module is a
// few hundred KiB.
const maxText = 64 << 20

type lexer struct {
	src  []byte
	pos  int
	line int
}

func syntaxError(line int, format string, args ...any) *ParseError {
	return &ParseError{Line: line, Msg: fmt.Sprintf(format, args...), Err: ErrSyntax}
}

func unsupported(line int, format string, args ...any) *ParseError {
	return &ParseError{Line: line, Msg: fmt.Sprintf(format, args...), Err: ErrUnsupported}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' || c == '$' }

// space skips white space and comments.
func (l *lexer) space() *ParseError {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\n':
			l.line++
			l.pos++
		case c == ' ' || c == '\t' || c == '\r':
			l.pos++
		case c == '/' && l.pos+1 < len(l.src) && l.src[l.pos+1] == '/':
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				l.pos++
			}
		case c == '/' && l.pos+1 < len(l.src) && l.src[l.pos+1] == '*':
			start := l.line
			for l.pos += 2; ; l.pos++ {
				if l.pos+1 >= len(l.src) {
					return syntaxError(start, "comment without end")
				}
				if l.src[l.pos] == '*' && l.src[l.pos+1] == '/' {
					break
				}
				if l.src[l.pos] == '\n' {
					l.line++
				}
			}
			l.pos += 2
		case c == 0 && l.pos == len(l.src)-1:
			l.pos++ // a driver takes text that ends with a zero byte
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) next() (token, *ParseError) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	t := token{line: l.line}
	if l.pos == len(l.src) {
		return t, nil
	}
	start := l.pos
	c := l.src[l.pos]
	switch {
	case isLetter(c) || c == '_' || c == '$' || c == '%':
		for l.pos++; l.pos < len(l.src) && isWord(l.src[l.pos]); l.pos++ {
		}
		t.kind, t.text = tokIdent, string(l.src[start:l.pos])
	case c == '.':
		for l.pos++; l.pos < len(l.src); l.pos++ {
			if l.src[l.pos] == ':' && l.pos+2 < len(l.src) && l.src[l.pos+1] == ':' && isWord(l.src[l.pos+2]) {
				l.pos++
			} else if !isWord(l.src[l.pos]) {
				break
			}
		}
		if l.pos == start+1 {
			return t, syntaxError(l.line, "lone dot")
		}
		t.kind, t.text = tokDot, string(l.src[start+1:l.pos])
	case isDigit(c):
		for l.pos++; l.pos < len(l.src) && isWord(l.src[l.pos]); l.pos++ {
		}
		t.kind, t.text = tokNumber, string(l.src[start:l.pos])
		return l.number(t)
	case c == '"':
		for l.pos++; ; l.pos++ {
			if l.pos == len(l.src) || l.src[l.pos] == '\n' {
				return t, syntaxError(l.line, "string without end")
			}
			if l.src[l.pos] == '"' {
				break
			}
		}
		l.pos++
		t.kind, t.text = tokString, string(l.src[start+1:l.pos-1])
	default:
		l.pos++
		t.kind, t.text = tokPunct, string(l.src[start:l.pos])
	}
	return t, nil
}

// number reads an integer constant (PTX ISA: Integer Constants): decimal, 0x,
// 0b or octal with a leading zero, and an optional U. Floating constants do not
// occur in integer kernels.
func (l *lexer) number(t token) (token, *ParseError) {
	s := t.text
	if n := len(s); n > 1 && (s[n-1] == 'U' || s[n-1] == 'u') {
		s = s[:n-1]
	}
	base := 10
	switch {
	case len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'):
		s, base = s[2:], 16
	case len(s) > 2 && s[0] == '0' && (s[1] == 'b' || s[1] == 'B'):
		s, base = s[2:], 2
	case len(s) > 1 && s[0] == '0' && isLetter(s[1]):
		return t, unsupported(t.line, "constant %s", t.text)
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	v, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		return t, syntaxError(t.line, "constant %s", t.text)
	}
	t.num = v
	return t, nil
}
