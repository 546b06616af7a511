/* SPDX-License-Identifier: BSD-3-Clause */
/* proxy.c - the fault proxy's life, its event loop, and the switches a test turns. What happens to
 * the bytes is in proxy_pair.c and proxy_flow.c. */
#include "proxy_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

void proxy_wake(struct proxy *p)
{
  uint64_t one = 1;

  if (write(p->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
    harness_die("eventfd: %s", strerror(errno));
}

/* ---- the loop ---- */

enum { SLOT_WAKE, SLOT_LISTENER, SLOT_PAIRS };

/* Returns the time of the next timer. */
static int64_t fill_poll(const struct proxy *p, struct pollfd *fds)
{
  int64_t due = INT64_MAX;

  fds[SLOT_WAKE] = (struct pollfd){.fd = p->wake_fd, .events = POLLIN};
  fds[SLOT_LISTENER] =
      (struct pollfd){.fd = p->listener.open ? p->listener.fd : -1, .events = POLLIN};
  for (size_t i = 0; i < p->pair_len; i++) {
    const struct proxy_pair *pair = p->pairs[i];
    int64_t pair_due = proxy_pair_due_us(pair);

    if (pair_due < due)
      due = pair_due;
    for (size_t side = 0; side < PROXY_WAYS; side++) {
      short events = proxy_pair_events(pair, (enum proxy_way)side);

      /* A descriptor without events would still report a hang-up, again and again. */
      fds[SLOT_PAIRS + i * PROXY_WAYS + side] =
          (struct pollfd){.fd = events ? pair->fd[side] : -1, .events = events};
    }
  }
  return due;
}

static int timeout_until(int64_t due_us)
{
  int64_t left;

  if (due_us == INT64_MAX)
    return -1;
  left = due_us - now_us();
  return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

static void accept_all(struct proxy *p)
{
  int fd;

  while (p->listener.open && (fd = listener_accept(&p->listener)) >= 0) {
    if (p->pair_len == p->pair_cap) {
      p->pair_cap = p->pair_cap ? p->pair_cap * 2 : 16;
      p->pairs = realloc(p->pairs, p->pair_cap * sizeof(*p->pairs));
      if (!p->pairs)
        harness_die("out of memory");
    }
    proxy_pair_accepted(p, fd);
  }
}

static void sweep(struct proxy *p)
{
  size_t kept = 0;

  for (size_t i = 0; i < p->pair_len; i++) {
    if (p->doom != DOOM_NONE)
      proxy_pair_close(p->pairs[i], p->doom == DOOM_RESET);
    if (p->pairs[i]->state == PAIR_CLOSED)
      proxy_pair_free(p->pairs[i]);
    else
      p->pairs[kept++] = p->pairs[i];
  }
  p->pair_len = kept;
  p->doom = DOOM_NONE;
}

static void serve(struct proxy *p, const struct pollfd *fds, size_t pairs)
{
  uint64_t count;

  if (fds[SLOT_WAKE].revents && read(p->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
    harness_die("eventfd: %s", strerror(errno));
  for (size_t i = 0; i < pairs && p->doom == DOOM_NONE; i++) {
    const struct pollfd *sides = &fds[SLOT_PAIRS + i * PROXY_WAYS];
    const short revents[PROXY_WAYS] = {sides[0].revents, sides[1].revents};

    proxy_pair_work(p->pairs[i], revents);
  }
  sweep(p);
  accept_all(p);
  pthread_cond_broadcast(&p->changed);
}

static void *loop(void *arg)
{
  struct proxy *p = arg;
  struct pollfd *fds = NULL;

  pthread_mutex_lock(&p->mutex);
  while (!p->stopping) {
    size_t pairs = p->pair_len;
    size_t slots = SLOT_PAIRS + pairs * PROXY_WAYS;
    int64_t due;

    fds = realloc(fds, slots * sizeof(*fds));
    if (!fds)
      harness_die("out of memory");
    due = fill_poll(p, fds);
    pthread_mutex_unlock(&p->mutex);
    if (poll(fds, slots, timeout_until(due)) < 0 && errno != EINTR)
      harness_die("poll: %s", strerror(errno));
    pthread_mutex_lock(&p->mutex);
    serve(p, fds, pairs);
  }
  pthread_mutex_unlock(&p->mutex);
  free(fds);
  return NULL;
}

/* ---- life ---- */

static void init_sync(struct proxy *p)
{
  pthread_condattr_t cond;

  pthread_mutex_init(&p->mutex, NULL);
  pthread_condattr_init(&cond);
  pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
  pthread_cond_init(&p->changed, &cond);
  pthread_condattr_destroy(&cond);
}

void proxy_clear_faults(struct proxy *p)
{
  for (int way = 0; way < PROXY_WAYS; way++)
    p->fault[way] = (struct proxy_fault){.cut_at = PROXY_NO_CUT};
  p->silence = false;
  p->mangle_armed = false;
}

static void set_target(struct proxy *p, const char *url)
{
  if (!sock_parse(&p->target, url))
    harness_die("proxy: not a target: %s", url);
}

static void open_listener(struct proxy *p, bool unix_socket, bool tls)
{
  char path[TEMP_DIR_SIZE + 16];

  if (unix_socket) {
    temp_dir_make(p->dir);
    snprintf(path, sizeof(path), "%s/proxy.sock", p->dir);
    listener_open_unix(&p->listener, path);
  } else {
    listener_open_tcp(&p->listener);
  }
  sock_url(&p->listener.at, tls, p->url);
}

struct proxy *proxy_start(const char *target_url, const struct proxy_options *options)
{
  struct proxy *p = harness_alloc(sizeof(*p));
  int err;

  set_target(p, target_url);
  proxy_clear_faults(p);
  rng_seed(&p->rng, options ? options->seed : 0);
  init_sync(p);
  open_listener(p, options && over_unix(options->over), sock_url_is_tls(target_url));
  p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (p->wake_fd < 0)
    harness_die("eventfd: %s", strerror(errno));
  err = pthread_create(&p->thread, NULL, loop, p);
  if (err)
    harness_die("proxy_start: %s", strerror(err));
  return p;
}

void proxy_stop(struct proxy *p)
{
  pthread_mutex_lock(&p->mutex);
  p->stopping = true;
  pthread_mutex_unlock(&p->mutex);
  proxy_wake(p);
  pthread_join(p->thread, NULL);
  for (size_t i = 0; i < p->pair_len; i++)
    proxy_pair_free(p->pairs[i]);
  free(p->pairs);
  listener_close(&p->listener);
  close(p->wake_fd);
  if (p->dir[0])
    temp_dir_remove(p->dir);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->mutex);
  free(p);
}

const char *proxy_url(const struct proxy *p)
{
  return p->url;
}

uint16_t proxy_port(const struct proxy *p)
{
  return p->dir[0] ? 0 : ntohs(p->listener.at.u.tcp.sin_port);
}
