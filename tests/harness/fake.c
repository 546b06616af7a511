/* SPDX-License-Identifier: BSD-3-Clause */
/* fake.c - the fake server's life and its event loop. Knows neither scripts nor RESP: those are
 * fake_conn.c and fake_reply.c. What a test can ask it is in fake_seen.c. */
#include "fake_impl.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void lock(struct fake *f)
{
  pthread_mutex_lock(&f->mutex);
}

static void unlock(struct fake *f)
{
  pthread_mutex_unlock(&f->mutex);
}

void *fake_grow(void *array, size_t len, size_t *cap)
{
  if (len < *cap)
    return array;
  *cap = *cap ? *cap * 2 : 16;
  array = realloc(array, *cap * sizeof(void *));
  if (!array)
    harness_die("out of memory");
  return array;
}

void fake_wake(struct fake *f)
{
  uint64_t one = 1;

  if (write(f->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
    harness_die("eventfd: %s", strerror(errno));
}

/* ---- the loop ---- */

enum { SLOT_WAKE, SLOT_LISTENER, SLOT_CONNS };

static short conn_events(const struct fake_conn *c)
{
  short events = 0;

  if (!c->stalled && !c->input_ended)
    events |= POLLIN;
  if (c->tls ? fake_tls_blocked(c) : c->output_blocked)
    events |= POLLOUT;
  return events;
}

/* Returns how many descriptors there are: poll() takes no more than a process may have open, which
 * is less than the connections of a long test. */
static size_t fill_poll(const struct fake *f, struct pollfd *p, int64_t *ret_due)
{
  size_t n = SLOT_CONNS;

  *ret_due = INT64_MAX;
  p[SLOT_WAKE] = (struct pollfd){.fd = f->wake_fd, .events = POLLIN};
  p[SLOT_LISTENER] =
      (struct pollfd){.fd = f->listener.open ? f->listener.fd : -1, .events = POLLIN};
  for (size_t i = 0; i < f->conn_len; i++) {
    struct fake_conn *c = f->conns[i];
    short events = c->fd >= 0 && !c->silent ? conn_events(c) : 0;
    int64_t due = c->fd >= 0 ? fake_queue_due_us(c) : INT64_MAX;

    /* A descriptor without events would still report a hang-up, again and again. */
    c->polled = events ? n : 0;
    if (events)
      p[n++] = (struct pollfd){.fd = c->fd, .events = events};
    if (due < *ret_due)
      *ret_due = due;
  }
  return n;
}

static int timeout_until(int64_t due_us)
{
  int64_t left;

  if (due_us == INT64_MAX)
    return -1;
  left = due_us - now_us();
  return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

static void accept_all(struct fake *f)
{
  int fd;

  while (f->listener.open && (fd = listener_accept(&f->listener)) >= 0)
    fake_conn_opened(f, fd);
}

static void serve(struct fake *f, const struct pollfd *p, size_t conns)
{
  uint64_t count;

  if (p[SLOT_WAKE].revents && read(f->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
    harness_die("eventfd: %s", strerror(errno));
  for (size_t i = 0; i < conns; i++) {
    struct fake_conn *c = f->conns[i];

    if (c->fd >= 0 && c->polled && (p[c->polled].revents & (POLLIN | POLLHUP | POLLERR)) &&
        !c->stalled)
      fake_conn_readable(c);
  }
  accept_all(f);
  for (size_t i = 0; i < f->conn_len; i++)
    if (f->conns[i]->fd >= 0)
      fake_conn_pump(f->conns[i]);
  pthread_cond_broadcast(&f->changed);
}

static void *loop(void *arg)
{
  struct fake *f = arg;
  struct pollfd *p = NULL;

  lock(f);
  while (!f->stopping) {
    size_t conns = f->conn_len, n;
    int64_t due;

    p = realloc(p, (SLOT_CONNS + conns) * sizeof(*p));
    if (!p)
      harness_die("out of memory");
    n = fill_poll(f, p, &due);
    unlock(f);
    if (poll(p, n, timeout_until(due)) < 0 && errno != EINTR)
      harness_die("poll: %s", strerror(errno));
    lock(f);
    serve(f, p, conns);
  }
  unlock(f);
  free(p);
  return NULL;
}

/* ---- life ---- */

static void init_sync(struct fake *f)
{
  pthread_mutexattr_t mutex;
  pthread_condattr_t cond;

  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_settype(&mutex, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&f->mutex, &mutex);
  pthread_mutexattr_destroy(&mutex);
  pthread_condattr_init(&cond);
  pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
  pthread_cond_init(&f->changed, &cond);
  pthread_condattr_destroy(&cond);
}

static void open_listener(struct fake *f)
{
  char path[TEMP_DIR_SIZE + 16];

  if (over_unix(f->options.over)) {
    temp_dir_make(f->dir);
    snprintf(path, sizeof(path), "%s/fake.sock", f->dir);
    listener_open_unix(&f->listener, path);
  } else {
    listener_open_tcp(&f->listener);
  }
  sock_url(&f->listener.at, over_tls(f->options.over), f->url);
}

struct fake *fake_start(const struct fake_options *options)
{
  struct fake *f = harness_alloc(sizeof(*f));
  int err;

  if (options)
    f->options = *options;
  init_sync(f);
  f->started_us = now_us();
  open_listener(f);
  if (f->options.tls)
    f->tls = *f->options.tls;
  if (over_tls(f->options.over) && !f->tls.plain)
    f->tls_context = fake_tls_context(&f->tls);
  f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (f->wake_fd < 0)
    harness_die("eventfd: %s", strerror(errno));
  err = pthread_create(&f->thread, NULL, loop, f);
  if (err)
    harness_die("fake_start: %s", strerror(err));
  return f;
}

static void free_log(struct fake *f)
{
  for (size_t i = 0; i < f->log_len; i++) {
    struct wire_command c = {f->log[i]->argc, f->log[i]->argv, f->log[i]->len};

    wire_command_free(&c);
    free(f->log[i]);
  }
  free(f->log);
}

bool fake_stop(struct fake *f)
{
  bool ok;

  lock(f);
  f->stopping = true;
  unlock(f);
  fake_wake(f);
  pthread_join(f->thread, NULL);
  ok = f->failure[0] == '\0';
  if (!ok)
    fprintf(stderr, "fake server: %s\n", f->failure);
  for (size_t i = 0; i < f->conn_len; i++)
    fake_conn_free(f->conns[i]);
  free(f->conns);
  free_log(f);
  SSL_CTX_free(f->tls_context);
  listener_close(&f->listener);
  close(f->wake_fd);
  if (f->dir[0])
    temp_dir_remove(f->dir);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->mutex);
  free(f);
  return ok;
}

const char *fake_url(const struct fake *f)
{
  return f->url;
}

uint16_t fake_port(const struct fake *f)
{
  return f->dir[0] ? 0 : ntohs(f->listener.at.u.tcp.sin_port);
}

void fake_listen(struct fake *f, bool on)
{
  lock(f);
  fake_wake(f); /* a socket that is polled is not closed before poll() returns */
  if (on)
    listener_resume(&f->listener);
  else
    listener_refuse(&f->listener);
  unlock(f);
  fake_wake(f);
}

void fake_accept_mode(struct fake *f, enum fake_accept mode)
{
  lock(f);
  f->options.accept = mode;
  unlock(f);
}
