/* SPDX-License-Identifier: BSD-3-Clause */
/* proxy_impl.h - what the files of the fault proxy share. Not for tests. Everything is protected by
 * proxy->mutex; descriptors are opened and closed by the proxy's own thread alone. */
#ifndef HARNESS_PROXY_IMPL_H
#define HARNESS_PROXY_IMPL_H
#include <pthread.h>

#include "proxy.h"
#include "sock.h"
#include "util.h"
#include "wire.h"

enum { PROXY_NO_CUT = -1 };

struct proxy_fault {
  int delay_ms, jitter_ms;
  int64_t cut_at; /* PROXY_NO_CUT */
  unsigned cut_times;
  size_t slice;
  bool stalled;
  int64_t rate;
};

/* Bytes that were read together. */
struct proxy_chunk {
  struct proxy_chunk *next;
  int64_t due_us;
  size_t len, sent;
  char bytes[];
};

/* One direction of one connection. */
struct proxy_flow {
  struct proxy_chunk *first, **last;
  size_t queued;
  int64_t last_due_us; /* jitter must not overtake */
  int64_t next_us;     /* the rate limit allows no byte before */
  int64_t cut_left;    /* PROXY_NO_CUT */
  bool blocked;        /* the receiver's socket is full */
  bool ended;          /* the sender sent its last byte */
  bool finished;       /* and the receiver was told */
  /* towards the client: the reply that is under way */
  struct wire_buf raw;
  struct wire_scan scan;
  size_t passed;        /* bytes of raw that were forwarded already */
  bool opaque;          /* not RESP */
  struct wire_buf held; /* a reply that waits to be swapped */
};

enum pair_state { PAIR_CONNECTING, PAIR_OPEN, PAIR_SILENT, PAIR_CLOSED };

struct proxy_pair {
  struct proxy *proxy;
  enum pair_state state;
  int fd[PROXY_WAYS]; /* where that way leads: fd[PROXY_TO_CLIENT] is the client */
  struct proxy_flow flow[PROXY_WAYS];
};

struct proxy {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_t thread;
  int wake_fd;
  bool stopping;
  struct listener listener;
  struct sock_address target;
  char dir[TEMP_DIR_SIZE]; /* "" with TCP */
  char url[SOCK_URL_SIZE];
  struct rng rng;
  struct proxy_pair **pairs;
  size_t pair_len, pair_cap;
  struct proxy_fault fault[PROXY_WAYS];
  bool silence;
  bool mangle_armed;
  enum proxy_mangle mangle;
  unsigned mangle_skip;
  enum { DOOM_NONE, DOOM_CLOSE, DOOM_RESET } doom; /* of all connections; the loop carries it out */
  struct proxy_counts counts;
};

void proxy_wake(struct proxy *);         /* Thread: any. Locks: any. */
void proxy_clear_faults(struct proxy *); /* Locks: held. */

/* Thread: the proxy's own. Locks: held. */
void proxy_pair_accepted(struct proxy *, int client_fd);
void proxy_pair_close(struct proxy_pair *, bool reset);
void proxy_pair_free(struct proxy_pair *);
short proxy_pair_events(const struct proxy_pair *, enum proxy_way side);
int64_t proxy_pair_due_us(const struct proxy_pair *); /* INT64_MAX = no timer */
/* What poll() said of both sides; then forwards what can be forwarded now. */
void proxy_pair_work(struct proxy_pair *, const short revents[PROXY_WAYS]);

/* Locks: held. */
void proxy_flow_init(struct proxy_flow *, const struct proxy_fault *);
void proxy_flow_clear(struct proxy_flow *);
/* Takes what one read() gave, through the mangling of replies when it leads to the client. */
void proxy_flow_feed(struct proxy *, struct proxy_flow *, enum proxy_way, const char *, size_t);
void proxy_flow_queue(struct proxy *, struct proxy_flow *, enum proxy_way, const char *, size_t);
void proxy_flow_heal(struct proxy_flow *);                    /* nothing in it waits, no cut */
void proxy_flow_release(struct proxy *, struct proxy_flow *); /* what is held back */

#endif
