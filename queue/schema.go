package queue

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// schemaVersion is that of our own tables. River counts its own.
const schemaVersion = 1

// schemas are our tables, version by version. Times are microseconds since 1970.
//
// A row of {mail} is one message on its way to one destination and, under the
// same id, one job of River's. Bodies are apart, so that looking through the
// queue does not read them, and are gone once nobody needs them. River's tables
// are never altered.
var schemas = []string{`
CREATE TABLE {body} (
	id {same id},
	refs integer NOT NULL,
	content {blob} NOT NULL
);
CREATE TABLE {mail} (
	id {same id},
	body_id bigint NOT NULL,
	first_id bigint NOT NULL,
	state smallint NOT NULL,
	priority smallint NOT NULL,
	attempts integer NOT NULL,
	size bigint NOT NULL,
	due bigint NOT NULL,
	until_at bigint NOT NULL,
	alarm bigint NOT NULL,
	created bigint NOT NULL,
	finished bigint NOT NULL,
	host text NOT NULL,
	node text NOT NULL,
	sender text NOT NULL,
	cause text NOT NULL,
	reply text NOT NULL,
	options text NOT NULL,
	rcpts text NOT NULL,
	history text NOT NULL
);
CREATE INDEX smtpretry_mail_due ON {mail} (host, priority, due, id) WHERE state = 0;
CREATE INDEX smtpretry_mail_alarm ON {mail} (alarm) WHERE state = 0;
CREATE INDEX smtpretry_mail_sending ON {mail} (node) WHERE state = 1;
CREATE INDEX smtpretry_mail_finished ON {mail} (finished) WHERE state > 1;
CREATE TABLE {key} (
	key text PRIMARY KEY,
	mail_id bigint NOT NULL,
	created bigint NOT NULL
);
CREATE INDEX smtpretry_key_created ON {key} (created);
CREATE TABLE {hold} (
	host text PRIMARY KEY,
	until_at bigint NOT NULL,
	created bigint NOT NULL,
	reason text NOT NULL
);
CREATE TABLE {node} (
	id text PRIMARY KEY,
	name text NOT NULL,
	seen bigint NOT NULL
);
CREATE TABLE {notice} (
	id {id},
	mail_id bigint NOT NULL,
	kind smallint NOT NULL,
	node text NOT NULL,
	rcpts text NOT NULL,
	created bigint NOT NULL
);
CREATE INDEX smtpretry_notice_node ON {notice} (node, id);
CREATE TABLE {accepted} (
	id {id},
	mail_id bigint NOT NULL,
	rcpts text NOT NULL,
	queued text NOT NULL
);
CREATE INDEX smtpretry_accepted_mail ON {accepted} (mail_id);
`}

// migrateOurs brings our tables up to date, within one transaction.
func migrateOurs(ctx context.Context, tx transaction) error {
	if _, err := tx.exec(ctx, "CREATE TABLE IF NOT EXISTS {schema} (version integer PRIMARY KEY, at bigint NOT NULL)"); err != nil {
		return err
	}
	have, err := ourVersion(ctx, tx)
	if err != nil {
		return err
	}
	if have > schemaVersion {
		return &SchemaError{What: "the queue", Have: have, Known: schemaVersion}
	}
	for v := have + 1; v <= schemaVersion; v++ {
		for _, one := range strings.Split(schemas[v-1], ";\n") {
			if strings.TrimSpace(one) == "" {
				continue
			}
			if _, err := tx.exec(ctx, one); err != nil {
				return fmt.Errorf("schema %d: %w", v, err)
			}
		}
		if _, err := tx.exec(ctx, "INSERT INTO {schema} (version, at) VALUES ($1, $2)", v, stamp(time.Now())); err != nil {
			return err
		}
	}
	return nil
}

func ourVersion(ctx context.Context, q querier) (have int, err error) {
	r, err := q.query(ctx, "SELECT coalesce(max(version), 0) FROM {schema}")
	err = scan(r, err, func(r rows) error { return r.Scan(&have) })
	return have, err
}

// isOurs says whether the tables are there and such as this program knows.
func isOurs(ctx context.Context, tx transaction) error {
	have, err := ourVersion(ctx, tx)
	switch {
	case err != nil:
		return fmt.Errorf("queue: there is no queue in the database: %w", err)
	case have > schemaVersion:
		return &SchemaError{What: "the queue", Have: have, Known: schemaVersion}
	case have < schemaVersion:
		return fmt.Errorf("queue: the schema is version %d, this program needs %d: let the process that delivers be brought up to date first", have, schemaVersion)
	}
	return nil
}

// stamp is a time as the tables have it; 0 is the zero time.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// unstamp reads a time from the tables.
func unstamp(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}
