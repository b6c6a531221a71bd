package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
)

// jobArgs is what River's job shows of a message. What is done is decided by our
// own row of the same id; the arguments are for those who look at River's tables
// or its web interface.
type jobArgs struct {
	Host string   `json:"host"`
	From string   `json:"from"`
	To   []string `json:"to"`             // the first ten
	More int      `json:"more,omitempty"` // recipients beyond them
	Size int64    `json:"size"`
}

// Kind implements river.JobArgs.
func (jobArgs) Kind() string { return "smtpretry" }

// mailQueue is River's queue for jobs that nobody has claimed: those that are
// pending, and those that somebody sends off by hand from River's interface.
const mailQueue = "mail"

// workers says how River is to work.
type workers struct {
	id     string         // of this process
	queues map[string]int // and how many jobs of each at once
	work   func(ctx context.Context, job int64) error
	keep   time.Duration // finished jobs

	poll     time.Duration // how often River looks for jobs by itself
	pollOnly bool          // it is not told
}

// leastKeep is how long River keeps finished jobs at least.
const leastKeep = 6 * time.Hour

type mailWorker struct {
	river.WorkerDefaults[jobArgs]
	work func(ctx context.Context, job int64) error
}

func (w *mailWorker) Work(ctx context.Context, job *river.Job[jobArgs]) error {
	return w.work(ctx, job.ID)
}

// Timeout: the Client has timeouts for each step, whose sum depends on the size.
func (w *mailWorker) Timeout(*river.Job[jobArgs]) time.Duration { return -1 }

// A riverSide is River over one of its drivers.
type riverSide[TTx any] struct {
	driver riverdriver.Driver[TTx]
	schema string
	quiet  *slog.Logger
	insert *river.Client[TTx] // inserts only
	client *river.Client[TTx] // works; nil before start
}

func newRiverSide[TTx any](driver riverdriver.Driver[TTx], schema string, logger *slog.Logger) (*riverSide[TTx], error) {
	c, err := river.NewClient(driver, &river.Config{Schema: schema, Logger: logger})
	if err != nil {
		return nil, err
	}
	return &riverSide[TTx]{driver: driver, schema: schema, quiet: logger, insert: c}, nil
}

// migrate brings River's tables up to date.
func (r *riverSide[TTx]) migrate(ctx context.Context, logger *slog.Logger) error {
	m, err := rivermigrate.New(r.driver, &rivermigrate.Config{Schema: r.schema, Logger: logger})
	if err != nil {
		return err
	}
	all := m.AllVersions()
	if err := r.checkVersion(ctx, all[len(all)-1].Version); err != nil {
		return err
	}
	have, err := m.ExistingVersions(ctx)
	if err != nil {
		return err
	}
	if len(have) == len(all) {
		return nil
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// checkVersion sees to it that River's tables are not newer than is known; its own
// migrator only says that it does not find something.
func (r *riverSide[TTx]) checkVersion(ctx context.Context, known int) error {
	exec := r.driver.GetExecutor()
	there, err := exec.TableExists(ctx, &riverdriver.TableExistsParams{Schema: r.schema, Table: "river_migration"})
	if err != nil || !there {
		return err
	}
	have, err := exec.MigrationGetByLine(ctx, &riverdriver.MigrationGetByLineParams{Line: riverdriver.MigrationLineMain, Schema: r.schema})
	if err != nil {
		return err
	}
	for _, v := range have {
		if v.Version > known {
			return &SchemaError{What: "River", Have: v.Version, Known: known}
		}
	}
	return nil
}

func (r *riverSide[TTx]) insertJobs(ctx context.Context, tx TTx, jobs []river.InsertManyParams) ([]int64, error) {
	res, err := r.insert.InsertManyTx(ctx, tx, jobs)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(res))
	for i, one := range res {
		ids[i] = one.Job.ID
	}
	return ids, nil
}

// notify tells River's fetcher of a queue that there are jobs, as River does when
// it inserts one.
func (r *riverSide[TTx]) notify(ctx context.Context, tx TTx, queue string) error {
	return r.driver.UnwrapExecutor(tx).NotifyMany(ctx, &riverdriver.NotifyManyParams{
		Payload: []string{`{"queue":"` + queue + `"}`},
		Schema:  r.schema,
		Topic:   "river_insert",
	})
}

// start works. How a job ends is written by us, in one transaction with our own
// record of it. River's own completion comes later and not for sure; what it says
// does not count.
func (r *riverSide[TTx]) start(ctx context.Context, w *workers) error {
	ws := river.NewWorkers()
	river.AddWorker(ws, &mailWorker{work: w.work})
	queues := make(map[string]river.QueueConfig, len(w.queues))
	for name, n := range w.queues {
		queues[name] = river.QueueConfig{MaxWorkers: n}
	}
	c, err := river.NewClient(r.driver, &river.Config{
		ID:     w.id,
		Schema: r.schema,
		Logger: r.quiet,
		Queues: queues, Workers: ws,
		// With River's own tenth of a second a worker that ends at once does
		// ten jobs a second.
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: w.poll,
		PollOnly:          w.pollOnly,
		// Age decides, not the number of attempts; and an interrupted job is
		// found by us, at once, not by River after an hour.
		MaxAttempts:          32767,
		JobTimeout:           -1,
		RescueStuckJobsAfter: 10 * 365 * 24 * time.Hour,

		// Longer than any attempt, in the course of which River may take the job
		// for completed (see record.go).
		CancelledJobRetentionPeriod: max(w.keep, leastKeep),
		CompletedJobRetentionPeriod: max(w.keep, leastKeep),
		DiscardedJobRetentionPeriod: max(w.keep, leastKeep),
	})
	if err != nil {
		return err
	}
	// River's own context would break attempts off when it ends.
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	r.client = c
	return nil
}

func (r *riverSide[TTx]) stop(ctx context.Context) error {
	if r.client == nil {
		return nil
	}
	err := r.client.Stop(ctx)
	if ctx.Err() == nil {
		return err
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return r.client.StopAndCancel(hard)
}
