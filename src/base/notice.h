/* SPDX-License-Identifier: BSD-3-Clause */
/* notice.h - log lines and events on their way to the user's callbacks. Any thread adds, with any
 * lock held; only the client's own thread delivers, with none held. Bounded, lines and events each
 * for themselves, so that many lines push out no event: what does not fit is counted, and told behind
 * what did. */
#ifndef PMX_BASE_NOTICE_H
#define PMX_BASE_NOTICE_H
#include <poolmux/poolmux.h>
#include "base/list.h"
#include "base/sync.h"

struct notices {
  struct lock lock;
  struct list queue;
  struct notice_count {
    uint64_t lines, events;
  } queued, dropped;
  _Atomic int waiting; /* any of them; written under the lock */
  pmx_log_fn log;
  void *log_ud;
  pmx_log_level log_max;
  pmx_event_fn event;
  void *event_ud;
  void (*wake)(void *); /* asks the client's thread to call notices_deliver */
  void *wake_arg;
};

void notices_init(struct notices *, pmx_log_fn, pmx_log_level max, void *log_ud, pmx_event_fn,
                  void *event_ud);
void notices_destroy(struct notices *); /* drops what is left */
void notice_log(struct notices *, pmx_log_level, const char *component, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* endpoint and detail are copied; either may be NULL. */
void notice_event(struct notices *, pmx_event_type, pmx_cause, uint64_t conn_id,
                  const char *endpoint, const char *detail);
/* The same, with a reply (taken over), which `drop` is given when it was delivered, or will not be.
 * These may be more than others: they carry what is nowhere else. */
void notice_event_reply(struct notices *, pmx_event_type, const char *endpoint, const char *detail,
                        pmx_reply *, void (*drop)(pmx_reply *));
int notices_pending(struct notices *); /* 1: there is something to deliver */
int notices_deliver(struct notices *); /* runs callbacks; how many. Thread: client's own */

#endif
