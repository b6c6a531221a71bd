package queue

import (
	"context"
	"database/sql/driver"
	"strings"
)

// SQLite compiles a statement each time that it is given as text, which takes as
// long as carrying it out. River gives all of its own so, as database/sql has no
// cache of statements. This one sits between database/sql and the driver and
// keeps what each connection has compiled.

// mostCached is how many statements a connection keeps.
const mostCached = 128

type cachingConnector struct{ driver.Connector }

func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(sqliteConn)
	if !ok {
		return conn, nil
	}
	return &cachingConn{sqliteConn: full, kept: map[string]*cachedStmt{}}, nil
}

// sqliteConn is what the driver's connections can do that database/sql asks for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStmt and sqliteRows likewise.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// A cachingConn is used by one goroutine at a time, as all driver connections.
type cachingConn struct {
	sqliteConn
	kept map[string]*cachedStmt
}

type cachedStmt struct {
	sqliteStmt
	busy bool // its rows are being read
}

// stmt returns the compiled statement; nil if it is to be given as text.
func (c *cachingConn) stmt(ctx context.Context, query string) *cachedStmt {
	if s := c.kept[query]; s != nil {
		if s.busy {
			return nil
		}
		return s
	}
	if strings.Contains(query, ";") || strings.Contains(query, "CREATE ") || strings.Contains(query, "PRAGMA") {
		return nil // scripts, and what is said once
	}
	made, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil // the text will meet the same error
	}
	full, ok := made.(sqliteStmt)
	if !ok {
		made.Close()
		return nil
	}
	if len(c.kept) >= mostCached {
		for old, s := range c.kept { // any: lists of different lengths fill it
			if !s.busy {
				s.Close()
				delete(c.kept, old)
				break
			}
		}
	}
	s := &cachedStmt{sqliteStmt: full}
	c.kept[query] = s
	return s
}

func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if s := c.stmt(ctx, query); s != nil {
		return s.ExecContext(ctx, args)
	}
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s := c.stmt(ctx, query)
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	full, ok := r.(sqliteRows)
	if !ok {
		return r, nil
	}
	s.busy = true
	return &cachedRows{full, s}, nil
}

func (c *cachingConn) Close() error {
	for _, s := range c.kept {
		s.Close()
	}
	clear(c.kept)
	return c.sqliteConn.Close()
}

type cachedRows struct {
	sqliteRows
	s *cachedStmt
}

func (r *cachedRows) Close() error {
	err := r.sqliteRows.Close()
	r.s.busy = false
	return err
}
