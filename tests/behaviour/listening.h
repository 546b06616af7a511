/* SPDX-License-Identifier: BSD-3-Clause */
/* listening.h - what the tests of publish/subscribe share: consumers of either form that note what
 * they were given, and the other side of them. Sees the public header only. */
#ifndef LISTENING_H
#define LISTENING_H
#include <pthread.h>
#include <stdatomic.h>

#include "behaviour/calling.h"

/* ---- a client and its server ---- */
struct scene {
  const struct manner *manner;
  struct server *server;
  pmx_client *client;
};
/* Of manners[i], against a server of its own, with names and values of options, then NULL. */
void scene_open(struct scene *, int i, ...) __attribute__((sentinel));
void scene_close(struct scene *);

/* ---- consumers ---- */
enum { HEARD_SIZE = 4096 };
struct ear {
  pmx_client *client;
  pmx_sub *sub;
  bool pulls;
  pthread_mutex_t lock;
  char heard[HEARD_SIZE]; /* "kind:channel=data ", "pattern>channel=data ", "GAP " */
  _Atomic int messages, gaps;
  void (*inside)(struct ear *, const pmx_message *); /* in the callback; or NULL */
  void *arg;
};
void ear_open(struct ear *, pmx_client *, bool pulls);
void ear_close(struct ear *);
void ear_note(struct ear *, const pmx_message *);
void ear_pull(struct ear *, int64_t timeout_ms); /* takes what comes in this time, at most one */
/* All it was given until then is this: waits for it. Forgets it. */
void ear_check(struct ear *, const char *expected);
bool ear_has(struct ear *, int messages, int gaps, int64_t timeout_ms); /* at least */
pmx_reply *ear_add(struct ear *, pmx_sub_kind, const char *name);
pmx_reply *ear_remove(struct ear *, pmx_sub_kind, const char *name);
void add_ok(struct ear *, pmx_sub_kind, const char *name);

/* ---- the other side ---- */
int64_t publish(struct server *, const char *channel, const char *data); /* how many got it */
int64_t subscribers(struct server *, const char *channel);
int64_t subscription_connections(struct server *);
void kill_subscribers(struct server *);

#endif
