package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestInterface: the pages are there, and the jobs are the queue's.
func TestInterface(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	url, over := make(chan string, 1), make(chan error, 1)
	go func() { over <- run(ctx, "127.0.0.1:0", func(u string) { url <- u }) }()
	var base string
	select {
	case base = <-url:
	case err := <-over:
		t.Fatal(err)
	}
	if page := get(t, base+"/"); !strings.Contains(page, "<html") {
		t.Errorf("the first page: %.200s", page)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		waits, failed := jobs(t, base, "pending"), jobs(t, base, "discarded")
		if len(waits) > 0 && len(failed) == 1 {
			if one := get(t, fmt.Sprintf("%s/api/jobs/%d", base, failed[0])); !strings.Contains(one, "550 5.1.1 No such user") {
				t.Errorf("the job that failed: %s", one)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("pending: %v, discarded: %v", waits, failed)
		}
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, r.Status, err, b)
	}
	return string(b)
}

// jobs returns the ids of the jobs of a state.
func jobs(t *testing.T, base, state string) (ids []int64) {
	t.Helper()
	var list struct {
		Data []struct {
			ID int64 `json:"id"`
		} `json:"data"`
	}
	text := get(t, base+"/api/jobs?limit=100&state="+state)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, j := range list.Data {
		ids = append(ids, j.ID)
	}
	return ids
}
