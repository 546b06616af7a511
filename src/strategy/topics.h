/* SPDX-License-Identifier: BSD-3-Clause */
/* topics.h - what is subscribed to: channels, patterns and shard channels by their names, what the
 * server has been told about each, and for whom. Under the subscriber's lock; allocates nothing. */
#ifndef PMX_STRATEGY_TOPICS_H
#define PMX_STRATEGY_TOPICS_H
#include <poolmux/poolmux.h>
#include "base/list.h"

enum { TOPIC_NAME_MAX = 64 * 1024 };

/*   state     the server                      leaves it
 *   ABSENT    does not know of us             SUBSCRIBE is written, when somebody wants it
 *   ASKED     has a SUBSCRIBE to answer       its confirmation, or an error
 *   HELD      sends its messages              UNSUBSCRIBE is written, when nobody wants it any more
 *   LEAVING   has an UNSUBSCRIBE to answer    its confirmation, or an error
 * The end of the connection makes all of them ABSENT. */
enum topic_state { TOPIC_ABSENT, TOPIC_ASKED, TOPIC_HELD, TOPIC_LEAVING };

/* A command's part that the server has yet to answer. */
struct awaited {
  struct list node;
  uint64_t command; /* parts of one command have its number */
};

struct topic {
  struct topic *next; /* in its bucket */
  uint32_t hash;
  pmx_sub_kind kind;
  enum topic_state state;
  uint8_t lost;    /* the server had it, and sends nothing now */
  uint8_t alone;   /* in a command of its own: an error does not say which name it is about */
  uint8_t refused; /* the server did not want it when it was asked last */
  uint8_t resting; /* it is to be tried later */
  struct list
      todo; /* on the subscriber's list of those to be written, or of those to be tried later */
  struct awaited awaited;
  struct list members; /* struct member */
  struct list waits;   /* calls that wait for its next state */
  size_t len;
  char name[];
};

struct topics {
  struct topic **buckets; /* a power of two of them, or none yet */
  size_t size, count;
};

struct topic *topic_new(pmx_sub_kind, const char *name, size_t len); /* NULL: out of memory */
struct topic *topics_find(const struct topics *, pmx_sub_kind, const char *name, size_t len);
void topics_add(struct topics *, struct topic *); /* there are buckets */
void topics_remove(struct topics *, struct topic *);
size_t
topics_want(const struct topics *); /* how many buckets there should be; 0: there are enough */
/* Takes over zeroed ones, of which there must be a power of two; what is to be freed. */
struct topic **topics_grow(struct topics *, struct topic **buckets, size_t size);

#endif
