/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_queue.c - what is to be sent on a connection of the fake server and done to it, in order and
 * in time. Knows neither scripts nor RESP. */
#include "fake_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

void fake_queue_drop(struct fake_conn *c)
{
  while (c->first) {
    struct fake_action *a = c->first;

    c->first = a->next;
    free(a->bytes);
    free(a);
  }
  c->last = &c->first;
}

static struct fake_action *append(struct fake_conn *c, enum fake_op op)
{
  struct fake_action *a = harness_alloc(sizeof(*a));

  a->op = op;
  *c->last = a;
  c->last = &a->next;
  return a;
}

static bool carries_bytes(enum fake_op op)
{
  return op == FAKE_OP_SEND || op == FAKE_OP_RAW;
}

void fake_queue_step(struct fake_conn *c, const struct fake_step *step)
{
  struct fake *f = c->fake;
  bool wake;

  pthread_mutex_lock(&f->mutex);
  wake = c != f->pumping;
  if (c->fd >= 0 && (!carries_bytes(step->op) || step->len > 0)) {
    struct fake_action *a = append(c, step->op);

    a->call = step->call;
    if (step->op == FAKE_OP_DELAY)
      a->due_us = now_us() + (int64_t)step->ms * 1000;
    if (carries_bytes(step->op)) {
      a->bytes = harness_alloc(step->len);
      memcpy(a->bytes, step->bytes, step->len);
      a->len = step->len;
      a->slice = step->slice;
      a->gap_us = (int64_t)step->ms * 1000;
    }
  }
  pthread_mutex_unlock(&f->mutex);
  if (wake)
    fake_wake(f);
}

void fake_send(struct fake_conn *c, const void *bytes, size_t len)
{
  fake_queue_step(c, &(struct fake_step)FAKE_SEND_BYTES(bytes, len));
}

void fake_send_sliced(struct fake_conn *c, const void *bytes, size_t len, size_t slice, int gap_ms)
{
  fake_queue_step(
      c, &(struct fake_step){
             .op = FAKE_OP_SEND, .bytes = bytes, .len = len, .slice = slice, .ms = gap_ms});
}

void fake_delay(struct fake_conn *c, int ms)
{
  fake_queue_step(c, &(struct fake_step)FAKE_DELAY(ms));
}

void fake_close(struct fake_conn *c)
{
  fake_queue_step(c, &(struct fake_step)FAKE_CLOSE);
}

void fake_reset(struct fake_conn *c)
{
  fake_queue_step(c, &(struct fake_step)FAKE_RESET);
}

void fake_half_close(struct fake_conn *c)
{
  fake_queue_step(c, &(struct fake_step)FAKE_HALF_CLOSE);
}

/* 1 = all sent, 0 = later, -1 = the connection is gone. */
static int send_some(struct fake_conn *c, struct fake_action *a)
{
  while (a->sent < a->len) {
    size_t left = a->len - a->sent;
    size_t want = a->slice && a->slice < left ? a->slice : left;
    ssize_t n = c->tls ? fake_tls_send(c, a->bytes + a->sent, want)
                       : send(c->fd, a->bytes + a->sent, want, MSG_NOSIGNAL);

    if (n < 0 && errno == EAGAIN) {
      c->output_blocked = true;
      return 0;
    }
    if (n < 0 && errno != EINTR)
      return -1;
    a->sent += n > 0 ? (size_t)n : 0;
    if (a->gap_us > 0 && a->sent < a->len) {
      a->due_us = now_us() + a->gap_us;
      return 0;
    }
  }
  return 1;
}

/* As send_some. */
static int perform_plain(struct fake_conn *c, struct fake_action *a)
{
  switch (a->op) {
  case FAKE_OP_SEND:
  case FAKE_OP_RAW:
    return send_some(c, a);
  case FAKE_OP_CLOSE:
  case FAKE_OP_TRUNCATE:
  case FAKE_OP_RESET:
    return -1;
  case FAKE_OP_HALF_CLOSE:
    shutdown(c->fd, SHUT_WR);
    return 1;
  case FAKE_OP_STALL:
  case FAKE_OP_RESUME:
    c->stalled = a->op == FAKE_OP_STALL;
    return 1;
  case FAKE_OP_CALL:
    a->call(c->fake->options.ud, c);
    return 1;
  case FAKE_OP_KEY_UPDATE:
  case FAKE_OP_TICKET:
  case FAKE_OP_NOTIFY:
  case FAKE_OP_DELAY:
  case FAKE_OP_EXPECT:
  case FAKE_OP_END:
    return 1;
  }
  return 1;
}

static int perform(struct fake_conn *c, struct fake_action *a)
{
  int may = c->tls ? fake_tls_may(c, a->op) : 1;

  c->output_blocked = may == 0;
  if (may <= 0)
    return may;
  if (c->tls && (a->op >= FAKE_OP_RAW || a->op == FAKE_OP_HALF_CLOSE)) {
    int done = fake_tls_perform(c, a);

    if (done < 0 || a->op != FAKE_OP_HALF_CLOSE)
      return done;
  }
  return perform_plain(c, a);
}

void fake_queue_work(struct fake_conn *c)
{
  c->output_blocked = false;
  if (c->tls && fake_tls_flush(c) < 0) {
    fake_conn_close(c, false);
    return;
  }
  while (c->first && c->first->due_us <= now_us()) {
    struct fake_action *a = c->first;
    int done = perform(c, a);

    if (done < 0)
      fake_conn_close(c, a->op == FAKE_OP_RESET);
    if (done <= 0)
      return;
    c->first = a->next;
    if (!c->first)
      c->last = &c->first;
    free(a->bytes);
    free(a);
  }
}

int64_t fake_queue_due_us(const struct fake_conn *c)
{
  int64_t due = c->first && !c->output_blocked ? c->first->due_us : INT64_MAX;
  int64_t raw = c->tls ? fake_tls_due_us(c) : INT64_MAX;

  return raw < due ? raw : due;
}

/* TCP says when the other side has it; a Unix socket has put it there itself. */
static bool is_sent(void *arg)
{
  struct fake_conn *c = arg;
  int pending = 0;
  bool sent;

  pthread_mutex_lock(&c->fake->mutex);
  if (c->fd >= 0 && !over_unix(c->fake->options.over) && ioctl(c->fd, SIOCOUTQ, &pending) < 0)
    harness_die("SIOCOUTQ: %s", strerror(errno));
  sent = !c->first && pending == 0 && !(c->fd >= 0 && c->tls && fake_tls_pending(c));
  pthread_mutex_unlock(&c->fake->mutex);
  return sent;
}

bool fake_wait_sent(struct fake_conn *c, int timeout_ms)
{
  return wait_for(is_sent, c, timeout_ms);
}
