package queue

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
)

// nodeSilence is how long another machine's process must not have been seen
// before what it left is taken over.
var nodeSilence = 15 * time.Second

// nodes tells which of the processes that share a PostgreSQL database are alive.
//
// Each holds an advisory lock on connections of its own. When a process ends,
// however it ends, the system closes its connections, and the server frees the
// lock at once; so a lock that can be had belongs to a process that is gone, or
// whose connections are. The latter takes it again and shows itself meanwhile, so
// what belongs to another name is only touched after a silence as well. A process
// that starts again under the same name does not wait for that.
type nodes struct {
	q *Queue
	e *postgresEngine
}

func newNodes(ctx context.Context, q *Queue, e *postgresEngine) (*nodes, error) {
	n := &nodes{q: q, e: e}
	if err := n.connectAll(ctx); err != nil {
		return nil, err
	}
	err := within(ctx, e, true, func(tx transaction) error {
		_, err := tx.exec(ctx, "INSERT INTO {node} (id, name, seen) VALUES ($1, $2, $3)", q.node, q.cfg.Node, stamp(time.Now()))
		return err
	})
	return n, err
}

// connectAll makes the connections that are missing.
func (n *nodes) connectAll(ctx context.Context) error {
	missing := n.e.sent.missing()
	errs := make(chan error, missing)
	for range missing {
		go func() { errs <- n.connect(ctx) }()
	}
	var all error
	for range missing {
		all = errors.Join(all, <-errs)
	}
	return all
}

// connect takes the lock on a new connection, which goes to the journal.
func (n *nodes) connect(ctx context.Context) error {
	cfg := n.e.pool.Config().ConnConfig.Copy()
	// A machine that vanishes closes nothing.
	for name, value := range map[string]string{"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "3", "tcp_keepalives_count": "3", "synchronous_commit": "off"} {
		if cfg.RuntimeParams[name] == "" {
			cfg.RuntimeParams[name] = value
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	var got bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared($1)", n.lock(n.q.node)).Scan(&got); err != nil || !got {
		_ = conn.Close(ctx)
		if err == nil {
			err = fmt.Errorf("queue: the lock of node %s is taken", n.q.node)
		}
		return err
	}
	n.e.sent.use(conn)
	return nil
}

// lock is the number of a process's advisory lock.
func (n *nodes) lock(id string) int64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "smtpretry %s %s", n.e.schema, id)
	return int64(h.Sum64()) //nolint:gosec // any number will do
}

// look shows this process to the others, and takes over what those left that are
// gone.
func (n *nodes) look(ctx context.Context) error {
	if err := n.connectAll(ctx); err != nil {
		return err
	}
	now := time.Now()
	err := within(ctx, n.e, false, func(tx transaction) error {
		_, err := tx.exec(ctx, "INSERT INTO {node} (id, name, seen) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
			n.q.node, n.q.cfg.Node, stamp(now))
		return err
	})
	if err != nil {
		return err
	}
	var suspects []string
	// What a process sent before it ended may be carried out after it was taken
	// over: then there are messages of a process that nobody knows.
	r, err := n.e.reader().query(ctx, "SELECT id FROM {node} WHERE id <> $1 AND (name = $2 OR seen < $3) "+
		"UNION SELECT DISTINCT node FROM {mail} WHERE state = 1 AND node <> $1 AND node NOT IN (SELECT id FROM {node}) "+
		"UNION SELECT DISTINCT node FROM {notice} WHERE node <> $1 AND node NOT IN (SELECT id FROM {node})",
		n.q.node, n.q.cfg.Node, stamp(now.Add(-nodeSilence)))
	err = scan(r, err, func(r rows) error {
		var id string
		err := r.Scan(&id)
		suspects = append(suspects, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range suspects {
		if err := n.bury(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// bury takes over what a process left, if it is gone.
func (n *nodes) bury(ctx context.Context, id string) error {
	conn, err := n.e.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var gone bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", n.lock(id)).Scan(&gone); err != nil || !gone {
		return err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", n.lock(id)) //nolint:errcheck // it ends with the connection
	if err := n.q.takeOver(ctx, []string{id}); err != nil {
		return err
	}
	n.q.log.Info("took over what another process left", "node", id)
	return within(ctx, n.e, true, func(tx transaction) error {
		_, err := tx.exec(ctx, "DELETE FROM {node} WHERE id = $1", id)
		return err
	})
}

// leave says goodbye, when everything is put back.
func (n *nodes) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = within(ctx, n.e, false, func(tx transaction) error {
		_, err := tx.exec(ctx, "DELETE FROM {node} WHERE id = $1", n.q.node)
		return err
	})
	n.e.sent.close()
}
