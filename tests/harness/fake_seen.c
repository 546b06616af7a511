/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_seen.c - what a test can ask the fake server, and wait for. Knows nothing of how it came to
 * be. */
#include "fake_impl.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static void lock(struct fake *f)
{
  pthread_mutex_lock(&f->mutex);
}

static void unlock(struct fake *f)
{
  pthread_mutex_unlock(&f->mutex);
}

struct fake_conn *fake_conn_at(struct fake *f, size_t i)
{
  struct fake_conn *c;

  lock(f);
  c = i < f->conn_len ? f->conns[i] : NULL;
  unlock(f);
  return c;
}

struct fake_counts fake_counts(struct fake *f)
{
  struct fake_counts counts;

  lock(f);
  counts = f->counts;
  unlock(f);
  return counts;
}

const struct fake_command *fake_command(struct fake *f, size_t i)
{
  const struct fake_command *c;

  lock(f);
  c = i < f->log_len ? f->log[i] : NULL;
  unlock(f);
  return c;
}

size_t fake_seen(struct fake *f, const char *name)
{
  size_t n = 0;

  lock(f);
  for (size_t i = 0; i < f->log_len; i++)
    if (!name || wire_arg_is(f->log[i]->argv[0], f->log[i]->len[0], name))
      n++;
  unlock(f);
  return n;
}

char *fake_log(struct fake *f)
{
  struct wire_buf out = {0};

  lock(f);
  for (size_t i = 0; i < f->log_len; i++) {
    const struct fake_command *c = f->log[i];
    char head[64];
    int64_t us = c->at_us - f->started_us;
    int len = snprintf(head, sizeof(head), "%zu %lld.%03d", c->conn, (long long)(us / 1000),
                       (int)(us % 1000));

    wire_buf_add(&out, head, (size_t)len);
    for (int a = 0; a < c->argc; a++) {
      wire_buf_add(&out, " ", 1);
      wire_buf_add(&out, c->argv[a], c->len[a]);
    }
    wire_buf_add(&out, "\n", 1);
  }
  unlock(f);
  wire_buf_add(&out, "", 1);
  return out.data;
}

const char *fake_failure(struct fake *f)
{
  bool failed;

  lock(f);
  failed = f->failure[0] != '\0'; /* written once */
  unlock(f);
  return failed ? f->failure : NULL;
}

/* ---- waiting ---- */

struct wish {
  bool (*holds)(struct fake *, const struct wish *);
  const char *name;
  size_t n;
};

static bool wait_changed(struct fake *f, const struct wish *wish, int timeout_ms)
{
  int64_t end = now_us() + (int64_t)timeout_ms * 1000;
  struct timespec ts = {.tv_sec = (time_t)(end / 1000000), .tv_nsec = (long)(end % 1000000) * 1000};
  int err = 0;
  bool holds;

  lock(f);
  holds = wish->holds(f, wish);
  while (!holds && err != ETIMEDOUT) {
    err = pthread_cond_timedwait(&f->changed, &f->mutex, &ts);
    holds = wish->holds(f, wish);
  }
  unlock(f);
  return holds;
}

static bool accepted_holds(struct fake *f, const struct wish *wish)
{
  return f->counts.accepted >= wish->n;
}

bool fake_wait_accepted(struct fake *f, size_t n, int timeout_ms)
{
  return wait_changed(f, &(struct wish){.holds = accepted_holds, .n = n}, timeout_ms);
}

static bool open_holds(struct fake *f, const struct wish *wish)
{
  return f->counts.open == wish->n;
}

bool fake_wait_open(struct fake *f, size_t n, int timeout_ms)
{
  return wait_changed(f, &(struct wish){.holds = open_holds, .n = n}, timeout_ms);
}

static bool closed_holds(struct fake *f, const struct wish *wish)
{
  return f->conns[wish->n]->fd < 0;
}

bool fake_wait_closed(struct fake_conn *c, int timeout_ms)
{
  return wait_changed(c->fake, &(struct wish){.holds = closed_holds, .n = c->index}, timeout_ms);
}

static bool seen_holds(struct fake *f, const struct wish *wish)
{
  return fake_seen(f, wish->name) >= wish->n;
}

bool fake_wait_seen(struct fake *f, const char *name, size_t n, int timeout_ms)
{
  return wait_changed(f, &(struct wish){.holds = seen_holds, .name = name, .n = n}, timeout_ms);
}

static bool done_holds(struct fake *f, const struct wish *wish)
{
  return wish->n < f->conn_len && !f->conns[wish->n]->step;
}

bool fake_wait_done(struct fake *f, size_t conn, int timeout_ms)
{
  return wait_changed(f, &(struct wish){.holds = done_holds, .n = conn}, timeout_ms);
}

static bool handshakes_hold(struct fake *f, const struct wish *wish)
{
  return f->counts.handshakes >= wish->n;
}

bool fake_wait_handshakes(struct fake *f, size_t n, int timeout_ms)
{
  return wait_changed(f, &(struct wish){.holds = handshakes_hold, .n = n}, timeout_ms);
}

static bool failure_holds(struct fake *f, const struct wish *wish)
{
  return fake_tls_seen(f->conns[wish->n]).failed;
}

bool fake_wait_tls_failed(struct fake_conn *c, int timeout_ms)
{
  return wait_changed(c->fake, &(struct wish){.holds = failure_holds, .n = c->index}, timeout_ms);
}
