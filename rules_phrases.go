package smtpretry

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// A phrase is a pattern that is compared at the start of a word. In it, # fits
// one or more digits, and * at the end leaves the last word open.
type phrase struct {
	text  string
	open  bool
	links bool // also looked for in links and host names
	term  uint16
}

// A phraseIndex finds phrases in a wordList. A word is known by its head, its
// first eight octets with the space behind it. Most phrases are found by the
// heads of their first two words; those whose second word is missing, open, or
// a number by that of the first; those whose first word is open or holds a
// number by its first three octets.
type phraseIndex struct {
	byTwo, byOne, byThree phraseTable
}

// A phraseTable is a hash table of phrases.
type phraseTable struct {
	used  [tableSize / 64]uint64 // bit set of lists that are not empty
	lists [tableSize][]phrase
}

const tableSize = 1 << 12

func (t *phraseTable) add(key uint64, p phrase) {
	h := hash(key)
	t.used[h/64] |= 1 << (h % 64)
	t.lists[h] = append(t.lists[h], p)
}

// get returns the phrases under key, and maybe others.
func (t *phraseTable) get(key uint64) []phrase {
	h := hash(key)
	if t.used[h/64]&(1<<(h%64)) == 0 {
		return nil
	}
	return t.lists[h]
}

// hash spreads keys over a table (multiplication by 2^64 over the golden ratio).
func hash(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> (64 - 12) }

func keyOfTwo(first, second uint64) uint64 { return bits.RotateLeft64(first, 7) ^ second }

func keyOfThree(head uint64) uint64 { return head & 0xffffff }

// headOf returns the head of the first word of s; ok is false if the word is
// left open or holds a number within the first eight octets.
func headOf(s []byte, open bool) (head uint64, ok bool) {
	for i := range 8 {
		switch {
		case i == len(s):
			return head | ' '<<(8*i), !open
		case s[i] == '#':
			return head, false
		}
		if head |= uint64(s[i]) << (8 * i); s[i] == ' ' {
			return head, true
		}
	}
	return head, true
}

// add puts a phrase into the index.
func (x *phraseIndex) add(text string, term uint16) error {
	p := phrase{text: text, term: term}
	p.text, p.links = strings.CutPrefix(p.text, "~")
	p.text, p.open = strings.CutSuffix(p.text, "*")
	if len(p.text) < 2 || len(p.text) < 3 && p.open || p.text[0] == '#' || p.text[1] == '#' || strings.TrimSpace(p.text) != p.text {
		return fmt.Errorf("smtpretry: phrase %q cannot be matched", text)
	}
	first, second, two := strings.Cut(p.text, " ")
	head, ok := headOf([]byte(first), p.open && !two)
	if !ok {
		return x.addOpen(head, p)
	}
	if two && second[0] != '@' && first[0] != '@' {
		next, _, three := strings.Cut(second, " ")
		if head2, ok := headOf([]byte(next), p.open && !three); ok {
			x.byTwo.add(keyOfTwo(head, head2), p)
			return nil
		}
	}
	x.byOne.add(head, p)
	return nil
}

func (x *phraseIndex) addOpen(head uint64, p phrase) error {
	if len(p.text) == 2 || p.text[2] != '#' {
		x.byThree.add(keyOfThree(head), p)
		return nil
	}
	for digit := uint64('0'); digit <= '9'; digit++ {
		x.byThree.add(keyOfThree(head|digit<<16), p)
	}
	return nil
}

// find returns the terms that occur in w. It goes from the last word to the
// first, so that the head of the word behind is always at hand; one that
// stands for a name is passed over.
func (x *phraseIndex) find(w wordList) (found bitSet) {
	end := len(w.buf) - 1 // the space behind the word
	buf := w.buf
	buf = append(buf, "        "...) // so that there are always eight octets
	behind := uint64(0)
	for i := end - 1; i >= 0; i-- {
		if buf[i] != ' ' {
			continue
		}
		head := binary.LittleEndian.Uint64(buf[i+1:])
		if n := end - i; n < 8 {
			head &= 1<<(8*n) - 1
		}
		words, prose := w.buf[i+1:], i < w.prose-1
		if list := x.byTwo.get(keyOfTwo(head, behind)); list != nil {
			found.addMatches(list, words, prose)
		}
		if list := x.byOne.get(head); list != nil {
			found.addMatches(list, words, prose)
		}
		if list := x.byThree.get(keyOfThree(head)); list != nil {
			found.addMatches(list, words, prose)
		}
		if buf[i+1] != '@' {
			behind = head
		}
		end = i
	}
	return found
}

// addMatches adds the terms of those phrases that words starts with.
func (b *bitSet) addMatches(list []phrase, words []byte, prose bool) {
	for i := range list {
		p := &list[i]
		if (prose || p.links) && !b.has(p.term) && p.matches(words) {
			b.add(p.term)
		}
	}
}

// matches says whether words, which ends in a space, starts with p.
func (p *phrase) matches(words []byte) bool {
	n := 0
	for i := 0; i < len(p.text); i++ {
		if n >= len(words) {
			return false
		}
		switch c := p.text[i]; {
		case words[n] == c:
			n++
		case c == '#':
			if !isDigit(words[n]) {
				return false
			}
			for n < len(words) && isDigit(words[n]) {
				n++
			}
		case words[n] == '@' && i > 0 && p.text[i-1] == ' ':
			// A name between two words of the phrase does not matter.
			for n < len(words) && words[n] != ' ' {
				n++
			}
			n++
			i--
		default:
			return false
		}
	}
	return p.open || n < len(words) && words[n] == ' '
}
