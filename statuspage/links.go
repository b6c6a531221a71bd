package statuspage

import (
	"maps"
	"net/url"
	"strconv"
)

// address is that of a page with parameters, of which the last of a name counts, and
// the empty ones are left out.
func address(page string, params ...string) string {
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	maps.DeleteFunc(q, func(_ string, values []string) bool { return values[0] == "" })
	if len(q) == 0 {
		return page
	}
	return page + "?" + q.Encode()
}

// pageSize is how many lines of a long list are on one page.
const pageSize = 50

// A pager divides a long list.
type pager struct {
	N, Page, Pages int // the first page is 1
	First, Last    int // lines, from 1
	Previous, Next string
	from, to       int
}

func newPager(n int, page string, link func(...string) string) pager {
	p := pager{N: n, Pages: max((n+pageSize-1)/pageSize, 1)}
	p.Page, _ = strconv.Atoi(page)
	p.Page = min(max(p.Page, 1), p.Pages)
	p.from = (p.Page - 1) * pageSize
	p.to = min(p.from+pageSize, n)
	p.First, p.Last = min(p.from+1, n), p.to
	if p.Page > 1 {
		p.Previous = link("page", strconv.Itoa(p.Page-1))
	}
	if p.Page < p.Pages {
		p.Next = link("page", strconv.Itoa(p.Page+1))
	}
	return p
}
