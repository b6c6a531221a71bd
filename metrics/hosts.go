package metrics

import "sync"

// hosts bounds how many hosts are counted by name. Who came first stays, so that no
// counter ever falls.
type hosts struct {
	most  int
	mu    sync.RWMutex
	named map[string]struct{}
}

// label returns host, or HostOther if there are too many.
func (h *hosts) label(host string) string {
	if h.has(host) {
		return host
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.named[host]; ok {
		return host
	}
	if len(h.named) >= h.most {
		return HostOther
	}
	if h.named == nil {
		h.named = make(map[string]struct{})
	}
	h.named[host] = struct{}{}
	return host
}

func (h *hosts) has(host string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	_, ok := h.named[host]
	return ok
}

// fits says whether n more have room.
func (h *hosts) fits(n int) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.named)+n <= h.most
}
