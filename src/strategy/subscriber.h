/* SPDX-License-Identifier: BSD-3-Clause */
/* subscriber.h - a node's subscriptions: one connection for all of them, apart from the strategy's,
 * there as long as anything is subscribed to. docs/design.md, "Subscriptions".
 *
 *   DOWN → CONNECTING → OPEN → DOWN
 *
 *   state        who owns the feed              leaves it
 *   DOWN         nobody                         something is wanted, and its time has come
 *   CONNECTING   the reactor (dial)             dial_done
 *   OPEN         the reactor (feed)             feed_lost: broken, silent, or not needed any more
 *
 * The feed is the reactor's thread's. All else is under `lock`, which is dropped by
 * subscriber_leave only: it does what was noted meanwhile. Other threads change topics and post
 * `job`; the reactor writes. Nobody is told anything, and nothing is freed, with the lock held. */
#ifndef PMX_STRATEGY_SUBSCRIBER_H
#define PMX_STRATEGY_SUBSCRIBER_H
#include "call/config.h"
#include "call/request.h"
#include "link/feed.h"
#include "strategy/backoff.h"
#include "strategy/inbox.h"
#include "strategy/topics.h"

enum { NAMES_AT_ONCE = 1000 };

struct subscriber;

/* One consumer: what a pmx_sub is to this folder. */
struct listener {
  struct subscriber *subscriber;
  _Atomic unsigned refs; /* its owner's, each call inside, and one while `call` is posted */
  void (*destroy)(struct listener *); /* with the last reference; locks: none */
  /* under the subscriber's lock */
  struct list node;
  struct list members;
  struct list nexts; /* requests that wait for a message */
  struct inbox inbox;
  unsigned restoring;           /* members whose topic was lost and has not been answered again */
  uint64_t round;               /* the loss it was told of last */
  uint8_t ended;                /* its owner has freed it */
  uint8_t has_callback, called; /* called: `call` is posted or running */
  struct job call;
  struct list calling; /* noted: to be posted */
};

/* A listener's wish for a topic. */
struct member {
  struct list of_topic, mine;
  struct topic *topic;
  struct listener *listener;
  unsigned adding;   /* calls that wait for the server to confirm it */
  uint8_t confirmed; /* it was, once */
  uint8_t restoring;
};

/* A call that waits for a topic. */
struct wait {
  struct request request;
  struct topic *topic;
  struct member *member; /* it is being added; NULL: it has been removed */
};

enum subscriber_state { SUBSCRIBER_DOWN, SUBSCRIBER_CONNECTING, SUBSCRIBER_OPEN };

struct feeding; /* the connection, and room to write commands in */

struct subscriber {
  struct link_env *env;
  struct feeding *feeding; /* made for the first connection; the reactor's thread only */
  struct lock lock;
  struct config config; /* a copy of the values; its strings are the runtime's */
  char name[300];
  enum subscriber_state state;
  int closing;
  struct topics topics;
  struct list todo;    /* topics to be written about, in order */
  struct list later;   /* topics that were refused */
  int64_t later_at;    /* when they are tried again */
  struct list awaited; /* what the server has to answer, in order */
  struct awaited ping;
  int wants_ping;
  uint64_t command, round;
  struct list listeners;
  struct list drains; /* requests that wait until it is closed */
  struct backoff backoff;
  unsigned short_lives; /* connections in a row that died young */
  struct request dial;
  struct job job;
  struct ticker ticker;
  int64_t opened_at, unused_since, still_since;
  uint64_t seen_moved;
  uint64_t held, messages, dropped, gaps, resubscribes;
  uint64_t opened, closed, dial_failures;
  /* noted, for subscriber_leave */
  struct list ended; /* requests */
  struct list calling;
  struct list dead_topics, dead_members;
  uint8_t wake;
};

/* subscriber.c: the life of its connections */
int subscriber_open(struct link_env *, const struct config *, struct subscriber **ret);
void subscriber_close(struct subscriber *); /* after its drain, with the reactor's thread gone */
void subscriber_configure(struct subscriber *,
                          const struct config *); /* LIVE options have changed */
void subscriber_drain(struct subscriber *); /* nothing is wanted any more, and who waits is told */
/* After it: 1: the request ends when the connection is closed; 0: there is none. */
int subscriber_wait_closed(struct subscriber *, struct request *);
void subscriber_give_up_wait(struct subscriber *, struct request *);
void subscriber_stats(struct subscriber *, pmx_stats *); /* adds its part */
void subscriber_enter(struct subscriber *);
void subscriber_leave(struct subscriber *);
void subscriber_poke(struct subscriber *);         /* locked: the reactor will look */
void subscriber_disconnected(struct subscriber *); /* Thread: reactor. Locks: none */

/* subscriber_clock.c: an open connection by the clock; locked, on the reactor's thread */
enum subscriber_action {
  ACTION_NONE,
  ACTION_DIAL,
  ACTION_FLUSH,
  ACTION_GIVE_UP,
  ACTION_END,
  ACTION_STALLED
};
enum subscriber_action subscriber_check(struct subscriber *, const struct feed *, int64_t now,
                                        char *why, size_t size);
int64_t subscriber_next_check(const struct subscriber *, int64_t now);

/* subscriber_feed.c: what is written and what comes, on the reactor's thread. Locks: none */
struct feeding *feeding_new(struct subscriber *); /* NULL: out of memory or descriptors */
void feeding_free(struct feeding *);
struct feed *feeding_feed(struct feeding *);

/* subscriber_topics.c: what becomes of topics; all locked */
void subscriber_ask(struct subscriber *,
                    struct topic *); /* it is to be written about, if need be */
void subscriber_held(struct subscriber *, struct topic *);
void subscriber_absent(struct subscriber *, struct topic *);
void subscriber_refused(struct subscriber *, struct topic *, const pmx_reply *);
void subscriber_lost(struct subscriber *); /* the connection, and all topics with it */
void subscriber_deliver(struct subscriber *, struct topic *, pmx_reply *);
void subscriber_serve(struct subscriber *, struct listener *); /* hands out what is ready */
void subscriber_end_request(struct subscriber *, struct request *, pmx_reply *);
/* Calls that wait for topics to be added end with this failure (borrowed). */
void subscriber_fail_adds(struct subscriber *, pmx_reply *);
void subscriber_drop(struct subscriber *, struct member *);

/* subscriber_calls.c: for the public functions. Thread: any. Locks: none */
int listener_open(struct listener *, struct subscriber *, int has_callback); /* 0 or errno */
void listener_end(struct listener *); /* no message for it any more; who waits is told */
/* Locked. The same, but for what it has already: that is handed out. */
void listener_tell_end(struct listener *, const pmx_reply *failure);
void listener_ref(struct listener *);
void listener_unref(struct listener *);
/* NULL: wait->request ends, or has ended, and its reply NULL means success. Else why not. */
pmx_reply *listener_add(struct listener *, struct wait *, pmx_sub_kind, const char *name,
                        size_t len);
pmx_reply *listener_remove(struct listener *, struct wait *, pmx_sub_kind, const char *name,
                           size_t len);
void listener_give_up(struct listener *, struct wait *, pmx_cause, int64_t now);
/* NULL: the request will end with it. Else it is there, or why none will come. */
pmx_reply *listener_next(struct listener *, struct request *, int may_wait);
void listener_give_up_next(struct listener *, struct request *, pmx_cause, int64_t now);

#endif
