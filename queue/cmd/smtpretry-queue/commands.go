package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/queue"
)

var commands = map[string]func(context.Context, *tool, []string) error{
	"count":   countEntries,
	"list":    listEntries,
	"show":    showEntries,
	"body":    showBody,
	"retry":   retryEntries,
	"drop":    dropEntries,
	"hold":    holdHosts,
	"release": releaseHosts,
	"holds":   listHolds,
}

// parse reads a command's flags and returns what follows them.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errUsage, flags.Name(), err)
	}
	return flags.Args(), nil
}

// filter reads the flags of a filter, and ids behind them.
func filter(name string, args []string) (f queue.Filter, all bool, err error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&f.Host, "host", "", "")
	flags.StringVar(&f.Cause, "cause", "", "")
	flags.StringVar(&f.From, "from", "", "")
	flags.StringVar(&f.To, "to", "", "")
	flags.Int64Var(&f.After, "after", 0, "")
	flags.IntVar(&f.Limit, "limit", 0, "")
	flags.BoolVar(&all, "all", false, "")
	states := flags.String("state", "", "")
	rest, err := parse(flags, args)
	if err != nil {
		return f, false, err
	}
	if *states != "" {
		for word := range strings.SplitSeq(*states, ",") {
			var s queue.State
			if err := s.UnmarshalText([]byte(word)); err != nil {
				return f, false, fmt.Errorf("%w: %w", errUsage, err)
			}
			f.States = append(f.States, s)
		}
	}
	if f.IDs, err = numbers(rest); err != nil {
		return f, false, err
	}
	chosen := f.IDs != nil || f.Host != "" || f.Cause != "" || f.From != "" || f.To != "" || f.After > 0 || f.States != nil
	if all && chosen {
		return f, false, fmt.Errorf("%w: %s: -all and a filter", errUsage, name)
	}
	return f, all || chosen, nil
}

func numbers(args []string) (ids []int64, err error) {
	for _, a := range args {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no entry's number", errUsage, a)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func countEntries(ctx context.Context, t *tool, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: count takes nothing", errUsage)
	}
	list, err := t.q.Count(ctx)
	if err != nil {
		return err
	}
	return t.out.counts(list)
}

func listEntries(ctx context.Context, t *tool, args []string) error {
	f, _, err := filter("list", args)
	if err != nil {
		return err
	}
	list, err := t.q.List(ctx, f)
	if err == nil && len(list) == 0 {
		err = errNothing
	}
	if err != nil {
		return err
	}
	return t.out.entries(list)
}

func showEntries(ctx context.Context, t *tool, args []string) error {
	ids, err := numbers(args)
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("%w: show takes entries' numbers", errUsage)
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		e, err := t.q.Show(ctx, id)
		if err != nil {
			return err
		}
		if err := t.out.entry(e); err != nil {
			return err
		}
	}
	return nil
}

func showBody(ctx context.Context, t *tool, args []string) error {
	ids, err := numbers(args)
	if err == nil && len(ids) != 1 {
		err = fmt.Errorf("%w: body takes one entry's number", errUsage)
	}
	if err != nil {
		return err
	}
	b, err := t.q.Body(ctx, ids[0])
	if err != nil {
		return err
	}
	_, err = t.out.w.Write(b)
	return err
}

func retryEntries(ctx context.Context, t *tool, args []string) error {
	return t.change(ctx, "retry", "due now", args, t.q.Retry)
}

func dropEntries(ctx context.Context, t *tool, args []string) error {
	return t.change(ctx, "drop", "dropped", args, t.q.Drop)
}

func (t *tool) change(ctx context.Context, name, done string, args []string, f func(context.Context, queue.Filter, queue.Progress) (int, error)) error {
	which, chosen, err := filter(name, args)
	if err == nil && !chosen {
		err = fmt.Errorf("%w: %s what? Entries' numbers, a filter, or -all", errUsage, name)
	}
	if err != nil {
		return err
	}
	show, end := progress(t.errs, done)
	n, err := f(ctx, which, show)
	end()
	if perr := t.out.changed(name, done, n); err == nil {
		err = perr
	}
	if err == nil && n == 0 {
		err = errNothing
	}
	return err
}

func holdHosts(ctx context.Context, t *tool, args []string) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	duration := flags.Duration("for", 0, "")
	reason := flags.String("reason", "", "")
	hosts, err := parse(flags, args)
	if err == nil && (len(hosts) == 0 || *duration < 0) {
		err = fmt.Errorf("%w: hold takes destinations, and for how long", errUsage)
	}
	if err != nil {
		return err
	}
	var until time.Time
	if *duration > 0 {
		until = time.Now().Add(*duration)
	}
	for _, host := range hosts {
		if err := t.q.Hold(ctx, host, until, *reason); err != nil {
			return err
		}
	}
	return nil
}

func releaseHosts(ctx context.Context, t *tool, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: release takes destinations", errUsage)
	}
	for _, host := range args {
		was, err := t.q.Release(ctx, host)
		if err == nil && !was {
			err = fmt.Errorf("%w: %s is not held", errNothing, host)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func listHolds(ctx context.Context, t *tool, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: holds takes nothing", errUsage)
	}
	list, err := t.q.Holds(ctx)
	if err != nil {
		return err
	}
	return t.out.holds(list)
}
