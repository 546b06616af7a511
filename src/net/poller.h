/* SPDX-License-Identifier: BSD-3-Clause */
/* poller.h - waits for many transports at once (epoll), with a wake-up from any thread. */
#ifndef PMX_NET_POLLER_H
#define PMX_NET_POLLER_H
#include <stdint.h>
#include "net/transport.h"

struct poller;

struct poller_event {
  void *tag;
  unsigned events; /* NET_IN | NET_OUT; a hang-up or an error sets both */
};

/* loop: with a descriptor for the loop of an application, poller_fd. 0 or errno. */
int poller_open(int loop, struct poller **ret);
void poller_close(struct poller *);
/* Watches the transport's connection for events (level-triggered); 0 = not any more. 0 or errno. */
int poller_set(struct poller *, struct transport *, unsigned old_events, unsigned events, void *tag);
/* How many events were written to ev; 0 = deadline, wake-up or signal. */
int poller_wait(struct poller *, struct poller_event *ev, int max, int64_t deadline_ns);
/* Readable when a wait would return at once, and while the application is called; -1: no loop. */
int poller_fd(const struct poller *);
/* Calls the application, or (0) has it answered: what comes after that needs another call. Ends no
 * wait. Thread: any. */
void poller_call(struct poller *, int on);
/* The next wait returns, and the descriptor is readable, from `due` on at the latest. */
void poller_set_timer(struct poller *, int64_t due);
void poller_wake(struct poller *); /* Thread: any. The current or next wait returns. */

#endif
