package check

import "sync"

// A promise is a value that one step finds and others wait for.
type promise[T any] struct {
	once sync.Once
	kept chan struct{}
	v    T
}

func newPromise[T any]() *promise[T] { return &promise[T]{kept: make(chan struct{})} }

// keep sets the value, the first time it is called.
func (p *promise[T]) keep(v T) {
	p.once.Do(func() {
		p.v = v
		close(p.kept)
	})
}

// wait returns the value once it is known. Whoever promises must keep in the
// end, which the check's time sees to.
func (p *promise[T]) wait() T {
	<-p.kept
	return p.v
}

// parts are steps that are found side by side, and reported in order.
type parts struct {
	wg   sync.WaitGroup
	list []*[]Step
}

func (p *parts) start(f func() []Step) {
	steps := new([]Step)
	p.list = append(p.list, steps)
	p.wg.Go(func() { *steps = f() })
}

// step starts a step, or skips it if it is blocked. What it waits for before is not
// its time.
func (p *parts) step(blocked, name, about string, f func(*Step), wait ...func()) {
	p.start(func() []Step {
		if blocked != "" {
			return []Step{skipped(name, about, blocked)}
		}
		for _, w := range wait {
			w()
		}
		return []Step{timed(name, about, f)}
	})
}

func (p *parts) wait() []Step {
	p.wg.Wait()
	var all []Step
	for _, steps := range p.list {
		all = append(all, *steps...)
	}
	return all
}
