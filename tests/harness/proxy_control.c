/* SPDX-License-Identifier: BSD-3-Clause */
/* proxy_control.c - the switches of the fault proxy: each sets a fault under the lock and wakes the
 * loop, which acts on it. Knows nothing of sockets and bytes. */
#include "proxy_impl.h"

#include <errno.h>
#include <time.h>

static void begin(struct proxy *p)
{
  pthread_mutex_lock(&p->mutex);
}

static void end(struct proxy *p)
{
  pthread_mutex_unlock(&p->mutex);
  proxy_wake(p);
}

void proxy_target(struct proxy *p, const char *url)
{
  begin(p);
  if (!sock_parse(&p->target, url))
    harness_die("proxy: not a target: %s", url);
  end(p);
}

void proxy_delay(struct proxy *p, enum proxy_way way, int ms, int jitter_ms)
{
  begin(p);
  p->fault[way].delay_ms = ms;
  p->fault[way].jitter_ms = jitter_ms;
  end(p);
}

void proxy_cut(struct proxy *p, enum proxy_way way, int64_t n, unsigned times)
{
  begin(p);
  p->fault[way].cut_at = n < 0 ? PROXY_NO_CUT : n;
  p->fault[way].cut_times = times;
  for (size_t i = 0; i < p->pair_len; i++)
    p->pairs[i]->flow[way].cut_left = p->fault[way].cut_at;
  end(p);
}

void proxy_slice(struct proxy *p, enum proxy_way way, size_t bytes)
{
  begin(p);
  p->fault[way].slice = bytes;
  end(p);
}

void proxy_stall(struct proxy *p, enum proxy_way way, bool on)
{
  begin(p);
  p->fault[way].stalled = on;
  end(p);
}

void proxy_rate(struct proxy *p, enum proxy_way way, int64_t bytes_per_second)
{
  begin(p);
  p->fault[way].rate = bytes_per_second;
  for (size_t i = 0; i < p->pair_len; i++)
    p->pairs[i]->flow[way].next_us = 0;
  end(p);
}

void proxy_silence(struct proxy *p, bool on)
{
  begin(p);
  p->silence = on;
  end(p);
}

void proxy_refuse(struct proxy *p, bool on)
{
  begin(p);
  proxy_wake(p); /* a socket that is polled is not closed before poll() returns */
  if (on)
    listener_refuse(&p->listener);
  else
    listener_resume(&p->listener);
  end(p);
}

/* Descriptors are closed by the loop alone; returns when it has done so. */
static void doom(struct proxy *p, bool reset)
{
  begin(p);
  p->doom = reset ? DOOM_RESET : DOOM_CLOSE;
  proxy_wake(p);
  while (p->doom != DOOM_NONE)
    pthread_cond_wait(&p->changed, &p->mutex);
  end(p);
}

void proxy_reset(struct proxy *p)
{
  doom(p, true);
}

void proxy_close(struct proxy *p)
{
  doom(p, false);
}

void proxy_mangle(struct proxy *p, enum proxy_mangle what, unsigned skip)
{
  begin(p);
  p->mangle_armed = true;
  p->mangle = what;
  p->mangle_skip = skip;
  end(p);
}

void proxy_heal(struct proxy *p)
{
  proxy_refuse(p, false);
  begin(p);
  proxy_clear_faults(p);
  for (size_t i = 0; i < p->pair_len; i++) {
    proxy_flow_release(p, &p->pairs[i]->flow[PROXY_TO_CLIENT]);
    for (int way = 0; way < PROXY_WAYS; way++)
      proxy_flow_heal(&p->pairs[i]->flow[way]);
  }
  end(p);
}

struct proxy_counts proxy_counts(struct proxy *p)
{
  struct proxy_counts counts;

  begin(p);
  counts = p->counts;
  pthread_mutex_unlock(&p->mutex);
  return counts;
}

bool proxy_wait_open(struct proxy *p, size_t n, int timeout_ms)
{
  int64_t us = now_us() + (int64_t)timeout_ms * 1000;
  struct timespec ts = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
  int err = 0;
  bool reached;

  begin(p);
  while (p->counts.open != n && err != ETIMEDOUT)
    err = pthread_cond_timedwait(&p->changed, &p->mutex, &ts);
  reached = p->counts.open == n;
  pthread_mutex_unlock(&p->mutex);
  return reached;
}
